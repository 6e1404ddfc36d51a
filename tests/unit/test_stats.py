"""`tg.stats`: one function per statistic of the registry, and the number of a report."""

import inspect
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tidegauge as tg
from tidegauge import _core, stats
from tidegauge.errors import TidegaugeError

REGISTRY = {entry["name"]: entry for entry in json.loads(_core.registry())}
RNG = np.random.default_rng(11)
NUMBERS = (RNG.normal(0, 1, 400).round(2), RNG.normal(0.3, 1.1, 500).round(2))
TEXTS = (RNG.choice(["a", "b", "c"], 400), RNG.choice(["a", "b", "c", "d"], 500))


def test_one_function_per_statistic() -> None:
    joint = {entry["name"] for entry in json.loads(_core.joint_registry())}
    other = {"Interval", "JointResult", "TestResult", "csi", "parity"}
    assert set(stats.__all__) - other == set(REGISTRY) | joint
    assert stats.csi is stats.psi


@pytest.mark.parametrize("name", REGISTRY)
def test_docstrings_follow_the_registry(name: str) -> None:
    text = inspect.getdoc(getattr(stats, name)) or ""
    entry = REGISTRY[name]
    flat = " ".join(text.split())
    assert flat.lower().startswith(entry["summary"].lower())
    assert f"Definition ``{entry['definition']}``" in flat
    assert f"unit: {entry['unit']}." in flat
    assert (f"under the null ``{entry['null']}``" if entry["null"] else "``pvalue`` is None") in flat
    assert " ".join(entry["reference"].split()) in flat


@pytest.mark.parametrize("samples", [NUMBERS, TEXTS], ids=["numbers", "texts"])
def test_report_and_function_give_the_identical_number(samples: tuple[Any, Any]) -> None:
    x, y = samples
    report = tg.drift({"x": x}, {"x": y})
    seen = set()
    for row in report.rows:
        if row["feature"] != "x" or row["statistic"] not in REGISTRY or row["value"] is None:
            continue
        found = getattr(stats, row["statistic"])(x, y)
        seen.add(row["statistic"])
        assert found.definition == row["definition"]
        assert found.statistic == row["value"], row["statistic"]
        assert (found.bound_low, found.bound_high) == (row["bound_low"], row["bound_high"])
        assert found.pvalue == row["pvalue"]
    assert len(seen) >= 8


@pytest.mark.parametrize(
    "make",
    [list, np.asarray, pl.Series, pd.Series, pa.array, lambda v: pa.chunked_array([v[:50], v[50:]])],
    ids=["list", "numpy", "polars", "pandas", "arrow", "chunked"],
)
def test_samples_of_any_kind(make: Any) -> None:
    x, y = NUMBERS
    expected = stats.ks(x, y)
    assert stats.ks(make(x.tolist()), make(y.tolist())) == expected
    statistic, pvalue = expected
    assert (statistic, pvalue) == (expected.statistic, expected.pvalue)


def test_integers_as_categories() -> None:
    x, y = [1, 1, 2, 2], [1, 2, 2, 3]
    assert stats.total_variation(x, y, categorical=True) == stats.total_variation(list("aabb"), list("abbc"))
    with pytest.raises(TidegaugeError):
        stats.chi_square(x, y)


@pytest.mark.parametrize("samples", [([1, "a"], [1, 2]), (["a"], [1]), ([1.0], 3)])
def test_refusals(samples: tuple[Any, Any]) -> None:
    with pytest.raises(TidegaugeError):
        stats.ks(*samples)
