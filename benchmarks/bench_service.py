"""Small batches, comparisons of kept profiles, pages and starting up."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data


def test_service_batch(versus: Versus) -> None:
    """A service holds the grid, and profiles and compares each batch."""
    options = {"rows": 1000, "columns": 50}

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert len(others["scipy"]) == 50
        for name, theirs in others["scipy"].items():
            # 1,024 cells of nearly equal mass: certified to one of them.
            assert abs(ours[name] - theirs) <= 2 / 1024, name

    versus(
        "batch of 1,000 rows x 50 columns against a grid of 100,000 rows; scipy only KS",
        Side("service_batch", options, number=20),
        [Goal("faster", None, "scipy"), Goal("cpu_ms")],
        against={"scipy": Side("scipy_batch", options)},
        check=check,
        values=50_000,
    )


def profiles(data: Data) -> dict[str, str]:
    columns = data.scale.profile_columns
    grid = data.grid(path=data.wide(columns, 10_000, seed=2))
    return {"reference": str(grid), "current": str(data.profiled(data.wide(columns, 10_000, seed=3), grid))}


def test_compare_profiles(versus: Versus, data: Data) -> None:
    columns = data.scale.profile_columns

    def check(ours: Any, _: dict[str, Any]) -> None:
        assert ours["features"] == columns

    versus(
        f"comparison of two profiles of {columns:,} columns, all statistics",
        Side("compare_profiles", profiles(data)),
        [Goal("cpu_ms"), Goal("above_mb")],
        check=check,
    )


def test_report_page(versus: Versus, data: Data, tmp_path: Path) -> None:
    grid = data.grid()
    sides = {"reference": str(grid), "current": str(data.profiled(data.log("cur", rows=100_000), grid))}

    def check(ours: Any, _: dict[str, Any]) -> None:
        assert ours["whole"]
        assert ours["bytes"] > 20_000

    versus(
        "report.html of 21 columns",
        Side("report_page", sides | {"folder": str(tmp_path)}, number=3),
        [Goal("cpu_ms")],
        check=check,
    )


HELP = "from tidegauge.cli import main; main(['--help'])"
STARTS = {"import tidegauge": ("import tidegauge", 60), "tidegauge --help": (HELP, 150)}


@pytest.mark.parametrize(("statement", "limit"), STARTS.values(), ids=["import", "help"])
def test_start(versus: Versus, statement: str, limit: float) -> None:
    """CPU of a process, over that of an interpreter that runs nothing."""

    def check(ours: Any, _: dict[str, Any]) -> None:
        assert (ours["printed"] > 500) == (limit == 150)

    empty = Side("start", {"statement": ""}, number=10)
    entry = versus(
        next(name for name, given in STARTS.items() if given[0] == statement),
        Side("start", {"statement": statement}, number=10),
        [Goal("more_ms", limit, "an empty interpreter")],
        against={"an empty interpreter": empty},
        check=check,
        rounds=7,
        peer_rounds=7,
    )
    assert entry["results"]
