"""Frames and arrays in memory, beside the tools that take them."""

import math
from typing import Any

import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data


def paths(data: Data) -> dict[str, Any]:
    return {"reference": str(data.log("ref")), "current": str(data.log("cur"))}


def test_drift_report(versus: Versus, data: Data) -> None:
    """13 numbers and 5 categories, as many rows on both sides."""
    options = paths(data) | {"rows": data.scale.one_million}

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert len(others["Evidently"]) == 13
        for name, theirs in others["Evidently"].items():
            _, low, high = ours[f"wasserstein/{name}"]
            # Its Wasserstein distance, times the deviation it was divided by; nulls are left out on both sides.
            assert low * (1 - 1e-6) <= theirs <= high * (1 + 1e-6), (name, low, theirs, high)

    versus(
        f"drift report in memory, 13 numbers + 5 categories, {data.scale.one_million:,} rows a side",
        Side("drift_in_memory", options),
        [Goal("faster", 200, "Evidently"), Goal("above_mb", 100)],
        against={"Evidently": Side("evidently_drift", options, peer="evidently")},
        check=check,
        peer_rounds=1,
        values=36 * data.scale.one_million,
    )


def test_drift_by_window(versus: Versus, data: Data) -> None:
    """17 columns in ten windows."""
    # NannyML has one number that is defined alike: the largest difference of a category's share.
    exact = Side("nannyml_by_day", paths(data) | {"statistic": "l_infinity"}, peer="nannyml")

    def check(ours: Any, _: dict[str, Any]) -> None:
        theirs = exact.run()["answer"]
        common = {key for key in theirs if not key.endswith("/c5k")}  # rare values share cells here
        assert len(common) >= 30
        for key in common:
            assert math.isclose(ours[key], theirs[key], rel_tol=1e-9, abs_tol=1e-12), key

    versus(
        f"univariate drift of 17 columns, {data.scale.rows:,} rows in 10 windows",
        Side("drift_by_day", paths(data)),
        [Goal("faster", 50, "NannyML"), Goal("above_mb")],
        against={"NannyML": Side("nannyml_by_day", paths(data), peer="nannyml")},
        check=check,
        rounds=3,
        peer_rounds=1,
        values=17 * (data.scale.rows + data.scale.reference),
    )


def close(ours: Any, theirs: Any, keys: tuple[str, ...]) -> None:
    for key in keys:
        assert math.isclose(ours[key], theirs[key], rel_tol=1e-9, abs_tol=1e-9), key


@pytest.mark.parametrize("known", ["against a grid", "without"])
def test_column_profile(versus: Versus, data: Data, known: str) -> None:
    """One column of normal numbers: counts, moments, quantiles, distinct values."""
    options = {"current": str(data.log("cur")), "rows": data.scale.one_million}
    grid = {"reference": str(data.log("ref"))} if known == "against a grid" else {}

    def check(ours: Any, others: dict[str, Any]) -> None:
        close(ours, others["whylogs"], ("rows", "min", "max", "mean"))
        close(ours, others["DataSketches"], ("rows", "min", "max"))
        # HLL with 2^12 registers: 1.6 % standard error.
        assert abs(others["DataSketches"]["distinct"] / ours["rows"] - 1) < 0.1

    goals = [Goal("faster", 150, "whylogs"), Goal("faster", 20, "DataSketches")]
    versus(
        f"column profile in memory, {data.scale.one_million:,} numbers, {known}"
        + ("" if grid else " (grid and counts of a reference)"),
        Side("profile_column", options | grid, number=5),
        goals if grid else [Goal("faster", None, "whylogs"), Goal("faster", None, "DataSketches")],
        against={
            "whylogs": Side("whylogs_column", options, peer="whylogs"),
            "DataSketches": Side("datasketches_column", options, peer="datasketches"),
        },
        check=check,
        values=data.scale.one_million,
    )


@pytest.mark.parametrize(("cells", "limit"), [(10, 60), (4096, 12)])
def test_histogram(versus: Versus, data: Data, cells: int, limit: float) -> None:
    """There is no call that only counts: a profile has the cells, and all else a column gets, in the same pass."""
    options = {"current": str(data.log("cur")), "reference": str(data.log("ref"))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert ours["rows"] == others["numpy"]["rows"] == data.scale.rows

    versus(
        f"histogram of {data.scale.rows:,} numbers on {cells:,} cells of a reference; ours is a whole profile on 1,024",
        Side("profile_column", options | {"rows": data.scale.rows}),
        [Goal("faster", limit, "numpy")],
        against={"numpy": Side("numpy_histogram", options | {"cells": cells})},
        check=check,
        values=data.scale.rows,
    )


@pytest.mark.parametrize("form", ["polars", "pandas", "numpy"])
def test_frames(versus: Versus, data: Data, form: str) -> None:
    """The same rows in another frame, over a pyarrow table of them."""
    options = paths(data) | {"rows": data.scale.one_million}
    # numpy has no dictionaries and no nulls.
    names = ["f_norm", "f_lognorm", "f_count", "f_unif", "f_money", "f_beta", "f_t3", "score"]
    if form == "numpy":
        options["columns"] = names

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert ours == others["pyarrow"]

    versus(
        f"drift of two frames of {data.scale.one_million:,} rows x {8 if form == 'numpy' else 18}: {form} over pyarrow",
        Side("drift_in_memory", options | {"form": form}),
        [Goal("over", None, "pyarrow"), Goal("above_mb")],
        against={"pyarrow": Side("drift_in_memory", options)},
        check=check,
        values=2 * data.scale.one_million * (8 if form == "numpy" else 18),
    )
