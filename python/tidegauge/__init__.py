"""Drift, data quality and performance of prediction logs, with the same bytes every time.

Start with :func:`drift` for two tables, or with :func:`profile` and :func:`compare` when profiles
are kept; :func:`run` executes a configuration file. ``import tidegauge`` loads nothing heavy: every
name below is imported on first use.

Examples
--------
>>> import tidegauge as tg
>>> report = tg.drift({"x": [1.0, 2.0, 3.0]}, {"x": [1.0, 2.0, 3.0]})
>>> report.failed
[]
"""

from typing import TYPE_CHECKING

# Where each public name lives. Modules whose name a function shares are private, because importing
# `tidegauge.profile` would put the module in the function's place.
_HOME = {
    "Gate": "_gate",
    "ImportanceDrift": "_importance_drift",
    "ImportanceResult": "importance",
    "ModelComparison": "_compare_models",
    "Profile": "_profile",
    "RaceResult": "_race",
    "Report": "results",
    "RowSample": "_sample",
    "SegmentResult": "_segments",
    "ShapResult": "_shapley",
    "SliceResult": "_slices",
    "TestResult": "stats",
    "Verification": "_verify",
    "__version__": "_core",
    "compare": "_compare",
    "compare_models": "_compare_models",
    "contributions": "_contributions",
    "drift": "_drift",
    "find_segments": "_segments",
    "gate": "_gate",
    "importance_drift": "_importance_drift",
    "load": "_profile",
    "merge": "_profile",
    "permutation_importance": "importance",
    "profile": "_profile",
    "race_importance": "_race",
    "row_sample": "_sample",
    "run": "_run",
    "shap_importance": "_shapley",
    "sign": "_sign",
    "top_slices": "_slices",
    "verify": "_verify",
}
_MODULES = ("audit", "config", "errors", "metrics", "stats")

__all__ = [
    "Gate",
    "ImportanceDrift",
    "ImportanceResult",
    "ModelComparison",
    "Profile",
    "RaceResult",
    "Report",
    "RowSample",
    "SegmentResult",
    "ShapResult",
    "SliceResult",
    "TestResult",
    "Verification",
    "__version__",
    "audit",
    "compare",
    "compare_models",
    "config",
    "contributions",
    "drift",
    "errors",
    "find_segments",
    "gate",
    "importance_drift",
    "load",
    "merge",
    "metrics",
    "permutation_importance",
    "profile",
    "race_importance",
    "row_sample",
    "run",
    "shap_importance",
    "sign",
    "stats",
    "top_slices",
    "verify",
]

if TYPE_CHECKING:
    from tidegauge import audit, config, errors, metrics, stats
    from tidegauge._compare import compare
    from tidegauge._compare_models import ModelComparison, compare_models
    from tidegauge._contributions import contributions
    from tidegauge._core import __version__
    from tidegauge._drift import drift
    from tidegauge._gate import Gate, gate
    from tidegauge._importance_drift import ImportanceDrift, importance_drift
    from tidegauge._profile import Profile, load, merge, profile
    from tidegauge._race import RaceResult, race_importance
    from tidegauge._run import run
    from tidegauge._sample import RowSample, row_sample
    from tidegauge._segments import SegmentResult, find_segments
    from tidegauge._shapley import ShapResult, shap_importance
    from tidegauge._sign import sign
    from tidegauge._slices import SliceResult, top_slices
    from tidegauge._verify import Verification, verify
    from tidegauge.importance import ImportanceResult, permutation_importance
    from tidegauge.results import Report
    from tidegauge.stats import TestResult


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        value: object = import_module(f"{__name__}.{name}")
    elif name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
