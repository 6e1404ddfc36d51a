"""Golden means of interventional Shapley values by the package `shap`, which is no dependency of tests.

    python tests/importance/shap_golden.py

writes shap_golden.json beside this file; it needs shap, scikit-learn and LightGBM.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np


def case(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A model, rows to explain and a background: the same bits wherever it is fitted."""
    from sklearn.datasets import make_friedman1
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingClassifier
    from sklearn.tree import DecisionTreeRegressor

    x, signal = make_friedman1(600, n_features=8, noise=0.5, random_state=0)
    # Few values a feature: splits lie between them, far from every row.
    x = np.round(x * 16) / 16
    y = signal > np.median(signal)
    models: dict[str, Any] = {
        "tree": lambda: DecisionTreeRegressor(max_depth=7, random_state=0).fit(x, signal),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=40, max_depth=4, random_state=0).fit(x, y),
        "extra trees": lambda: ExtraTreesRegressor(15, max_depth=8, random_state=0).fit(x, signal),
    }
    return models[name](), x[:120], x[200:280]


def main() -> None:
    import shap
    import sklearn

    cases = {}
    for name in ("tree", "boosting", "extra trees"):
        model, x, z = case(name)
        explainer = shap.TreeExplainer(
            model, shap.maskers.Independent(z, max_samples=len(z)), feature_perturbation="interventional"
        )
        values = np.asarray(explainer.shap_values(x, check_additivity=True))
        cases[name] = {
            "mean": values.mean(axis=0).tolist(),
            "mean_abs": np.abs(values).mean(axis=0).tolist(),
            "expected_value": float(np.ravel(explainer.expected_value)[0]),
        }
    told = {"made_by": f"shap {shap.__version__}, scikit-learn {sklearn.__version__}", "cases": cases}
    Path(__file__).with_name("shap_golden.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
