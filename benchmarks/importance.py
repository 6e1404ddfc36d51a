"""Exact permutation importance against scikit-learn's with 5 repeats: CPU of both in one run.

    python benchmarks/importance.py [--rows 20000] [--features 20 100] [--only NAME] [--theirs 5000]
        [--large 10000000]

CPU is user and system time of the process without training and imports; reading the model and comparing
it with its library are part of it. Both get one thread (set OMP_NUM_THREADS=1). Answers are asserted: scikit-learn's
mean over repeats, and ours over as many permutations of our own, must lie within 3 standard errors of the exact
value (its own noise is smaller); of the black box with scikit-learn's permutations, every number is its own.

With `--theirs` scikit-learn gets that many of the rows, and its seconds are those times what was left out: it
predicts every row as often. Its mean is then compared with the exact value of those rows.

`--large` writes that many rows to Parquet and prints seconds and the peak of memory for an exact and a
black-box importance of them, each in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import tidegauge as tg
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


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
    found: dict[str, Any] = {
        "LightGBM 200 x 31": lightgbm.LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1),
        "HistGradientBoosting 200 x 31": HistGradientBoostingClassifier(max_iter=200, early_stopping=False),
        "random forest 100, depth 8": RandomForestClassifier(100, max_depth=8, n_jobs=1),
        "logistic regression": LogisticRegression(),
    }
    try:
        import xgboost

        found["XGBoost 200, depth 5"] = xgboost.XGBClassifier(n_estimators=200, max_depth=5, n_jobs=1)
    except ImportError:
        pass
    return {name: model.fit(x, y) for name, model in found.items()}


class Function(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A black box that costs next to nothing: what is left is the work around it."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Function":
        self.classes_, self.n_features_in_ = np.unique(y), x.shape[1]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-x[:, 0] - x[:, 1] * x[:, 2]))
        return np.column_stack([1 - p, p])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.predict_proba(x).argmax(axis=1)


def encoded(rows: int) -> tuple[Any, np.ndarray, Any]:
    """Ten text columns of 20 levels, and a pipeline that makes 200 columns of them."""
    import pandas as pd

    rng = np.random.default_rng(0)
    levels = rng.integers(0, 20, size=(rows, 10))
    effects = rng.normal(size=(10, 20))
    y = (effects[np.arange(10), levels].sum(axis=1) + rng.normal(size=rows) > 0).astype(int)
    frame = pd.DataFrame(np.array([f"level {i}" for i in range(20)])[levels], columns=[f"c{j}" for j in range(10)])
    model = lightgbm.LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1)
    steps = make_column_transformer((OneHotEncoder(sparse_output=False), list(frame.columns)))
    return frame, y, make_pipeline(steps, model).fit(frame, y)


def black_box(x: np.ndarray, y: np.ndarray) -> None:
    model = Function().fit(x, y)
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "n_repeats": 5, "random_state": 0}
    mine, ours = cpu(
        lambda: tg.permutation_importance(model, x, y, method="permutation", generator="scikit-learn", **ask)
    )
    theirs, known = cpu(lambda: permutation_importance(model, x, y, **ask))
    assert np.array_equal(ours.importances, known.importances)
    print(
        f"a function as black box, {x.shape[1]} features, {len(x):,} rows: {mine:.2f} s, "
        f"scikit-learn {theirs:.2f} s, ratio {theirs / mine:.1f}",
        flush=True,
    )


def large(rows: int, kind: str, path: str) -> None:
    """One importance of the rows of a file; prints seconds and the peak of memory."""
    x, y = data(50_000, 16)
    if kind == "exact":
        model: Any = lightgbm.LGBMClassifier(n_estimators=50, num_leaves=15, n_jobs=1, verbose=-1).fit(x, y)
        found = partial(tg.permutation_importance, model.booster_, path, "y", scoring="neg_log_loss")
    else:

        def predict(frame: Any) -> np.ndarray:
            a, b, c = (frame[f"Column_{j}"].to_numpy() for j in range(3))
            return 1 / (1 + np.exp(-a - b * c))

        groups = {name: [name] for name in ("Column_0", "Column_1", "Column_9")}
        found = partial(
            tg.permutation_importance, predict, path, "y", scoring=["neg_log_loss"], n_repeats=1, groups=groups
        )
    before = peak_of_memory()
    start = time.perf_counter()
    seconds, result = cpu(found)
    peak = peak_of_memory()
    one = result if kind == "exact" else result["neg_log_loss"]
    assert one.n_rows == rows
    print(
        f"{kind}, {rows:,} rows of 16 columns from Parquet: {seconds:.0f} s CPU, {time.perf_counter() - start:.0f} s, "
        f"peak {peak / 1024:,.0f} MB ({before / 1024:,.0f} MB before), {len(one.features)} features",
        flush=True,
    )


def peak_of_memory() -> int:
    """KB of this process: `ru_maxrss` would begin with the peak of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def write(path: Path, rows: int) -> None:
    import polars as pl

    part = 1_000_000
    for i, start in enumerate(range(0, rows, part)):
        rng = np.random.default_rng(i)
        n = min(part, rows - start)
        x = rng.normal(size=(n, 16)).astype(np.float32)
        y = (x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=n) > 0).astype(np.int8)
        frame = pl.DataFrame({f"Column_{j}": x[:, j] for j in range(16)}).with_columns(y=y)
        frame.write_parquet(path / f"{i:04}.parquet", compression="uncompressed")


def measure_exact(model: object, x: Any, y: np.ndarray) -> tg.ImportanceResult:
    return tg.permutation_importance(model, x, y, method="exact", scoring="neg_log_loss", n_threads=1)


def measure_permuted(model: object, x: Any, y: np.ndarray) -> tg.ImportanceResult:
    return tg.permutation_importance(
        model, x, y, method="permutation", scoring="neg_log_loss", n_repeats=5, random_state=0, n_threads=1
    )


def measure_sampled(model: object, x: Any, y: np.ndarray) -> object:
    return permutation_importance(model, x, y, scoring="neg_log_loss", n_repeats=5, random_state=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, nargs="+", default=[20])
    parser.add_argument("--only", default="")
    parser.add_argument("--theirs", type=int)
    parser.add_argument("--large", type=int)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        large(given.large, *given.part)
        return
    if given.large:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), given.large)
            for kind in ("exact", "black box"):
                part = ["--large", str(given.large), "--part", kind, f"{folder}/*.parquet"]
                subprocess.run([sys.executable, __file__, *part], check=True)
        return
    if given.only in "pipeline of 200 one-hot columns":
        frame, labels, pipeline = encoded(given.rows)
        report("pipeline of 200 one-hot columns, 10 raw", pipeline, frame, labels, given.theirs)
    for features in given.features:
        x, y = data(given.rows, features)
        if given.only in "function as black box":
            black_box(x, y)
        for name, model in models(x, y).items():
            if given.only in name:
                report(f"{name}, {features} features", model, x, y, given.theirs)


def report(name: str, model: object, x: Any, y: np.ndarray, part: int | None) -> None:
    exact, ours = cpu(partial(measure_exact, model, x, y))
    permuted, native = cpu(partial(measure_permuted, model, x, y))
    assert np.all(np.abs(native.importances_mean - ours.expected_permutation) <= 3 * native.standard_error)
    n = len(y) if part is None else min(part, len(y))
    sampled, theirs = cpu(partial(measure_sampled, model, x[:n], y[:n]))
    known = ours if n == len(y) else measure_exact(model, x[:n], y[:n])
    assert np.all(np.abs(theirs.importances_mean - known.expected_permutation) <= 3 * known.standard_error)
    sampled *= len(y) / n
    read = native.provenance["predicted_by"] == "trees as read"
    print(
        f"{name}, {len(y):,} rows: exact {exact:.2f} s ({1e6 * exact / len(y):.1f} us a row), 5 permutations "
        f"{permuted:.2f} s{'' if read else ' by the library'}, scikit-learn {sampled:.2f} s"
        f"{'' if n == len(y) else f' (from {n:,} rows)'}, ratios {sampled / exact:.1f} and {sampled / permuted:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
