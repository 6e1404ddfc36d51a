"""Exact statistics of two arrays, beside scipy."""

import math

import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data

GOALS = {"ks": 10, "wasserstein": 40, "cramer_von_mises": 10, "anderson_darling": 20, "mann_whitney": 15}


@pytest.mark.parametrize(("statistic", "limit"), GOALS.items(), ids=GOALS)
def test_exact(versus: Versus, data: Data, statistic: str, limit: float) -> None:
    options = {"statistic": statistic, "reference": str(data.log("ref")), "current": str(data.log("cur"))}

    def check(ours: dict[str, float], others: dict[str, dict[str, float]]) -> None:
        # scipy adds ten million rounded terms.
        assert math.isclose(ours["statistic"], others["scipy"]["statistic"], rel_tol=1e-7)

    versus(
        f"exact {statistic}, {data.scale.reference:,} against {data.scale.rows:,} numbers",
        Side("exact_statistic", options),
        [Goal("faster", limit, "scipy")],
        against={"scipy": Side("scipy_statistic", options)},
        check=check,
        values=data.scale.reference + data.scale.rows,
    )
