"""Exact permutation importance against scikit-learn's with 5 repeats: CPU of both in one run.

    python benchmarks/importance.py [--rows 20000] [--features 20 100]

CPU is user and system time of the process without training and imports; reading the model and comparing
it with its library are part of it. Both get one thread (set OMP_NUM_THREADS=1). Answers are asserted: scikit-learn's
mean over repeats must lie within 3 standard errors of the exact value (its own noise is smaller).
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import lightgbm
import numpy as np
import tidegauge as tg
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance


def data(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features))
    z = 2 * x[:, 0] + 2 * np.sin(3 * x[:, 1]) + x[:, 2] * x[:, 3] + (x[:, 4] > 0) * x[:, 5] + 0.3 * x[:, 6:16].sum(1)
    return x, (z + rng.normal(size=rows) > 0).astype(int)


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def models(x: np.ndarray, y: np.ndarray) -> dict[str, object]:
    found = {
        "LightGBM 200 x 31": lightgbm.LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1),
        "HistGradientBoosting 200 x 31": HistGradientBoostingClassifier(max_iter=200, early_stopping=False),
    }
    try:
        import xgboost

        found["XGBoost 200, depth 5"] = xgboost.XGBClassifier(n_estimators=200, max_depth=5, n_jobs=1)
    except ImportError:
        pass
    return {name: model.fit(x, y) for name, model in found.items()}


def measure_exact(model: object, x: np.ndarray, y: np.ndarray) -> tg.ImportanceResult:
    return tg.permutation_importance(model, x, y, method="exact", scoring="neg_log_loss", n_threads=1)


def measure_sampled(model: object, x: np.ndarray, y: np.ndarray) -> object:
    return permutation_importance(model, x, y, scoring="neg_log_loss", n_repeats=5, random_state=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, nargs="+", default=[20])
    given = parser.parse_args()
    for features in given.features:
        x, y = data(given.rows, features)
        for name, model in models(x, y).items():
            exact, ours = cpu(partial(measure_exact, model, x, y))
            sampled, theirs = cpu(partial(measure_sampled, model, x, y))
            assert np.all(np.abs(theirs.importances_mean - ours.expected_permutation) <= 3 * ours.standard_error)
            print(
                f"{name}, {features} features, {given.rows:,} rows: exact {exact:.2f} s "
                f"({1e6 * exact / given.rows:.1f} us a row), scikit-learn {sampled:.2f} s, ratio {sampled / exact:.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
