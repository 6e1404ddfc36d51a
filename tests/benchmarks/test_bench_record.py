"""How benchmarks are measured, recorded and shown."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of benchmarks/, whose folder is on the path while it is imported."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for other in ("compare", "peers", "measure", "page"):
        monkeypatch.delitem(sys.modules, other, raising=False)
    spec = importlib.util.spec_from_file_location(f"bench_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, f"bench_{name}", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("measure", monkeypatch)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("page", monkeypatch)


def rounds(*cpu: float, peak: float = 50.0, base: float = 20.0) -> list[dict[str, float]]:
    return [{"cpu": c, "wall": c / 2, "peak": peak, "base": base} for c in cpu]


def test_ratios_are_paired_by_round(measure: ModuleType) -> None:
    """A machine that is twice as slow in its second round changes no ratio."""
    found = measure.Goal("faster", 2.5, "peer").judge(rounds(1, 2, 1), rounds(3, 6, 3))
    assert (found["value"], found["low"], found["high"], found["met"]) == (3.0, 3.0, 3.0, True)
    found = measure.Goal("over", 0.3, "peer").judge(rounds(1, 2, 1), rounds(3, 6, 3))
    assert found["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["met"] is False


def test_a_peer_of_one_round_stands_with_it(measure: ModuleType) -> None:
    found = measure.Goal("faster", None, "peer").judge(rounds(1, 2, 4), rounds(8))
    assert (found["value"], found["low"], found["high"], found["met"]) == (4.0, 2.0, 8.0, None)


@pytest.mark.parametrize(
    ("name", "limit", "value", "met"),
    [("above_mb", 29, 30, False), ("peak_mb", 50, 50, True), ("cpu_ms", 2000, 2000, True), ("speedup", 1.8, 4, True),
     ("memory", 1.05, 1.25, False), ("more_ms", 7000, 6000, True)],
)  # fmt: skip
def test_measures(measure: ModuleType, name: str, limit: float, value: float, met: bool) -> None:
    found = measure.Goal(name, limit, "peer").judge(rounds(2, 2, 2), rounds(8, 8, 8, peak=40.0))
    if name == "more_ms":
        found = measure.Goal(name, limit, "peer").judge(rounds(8, 8, 8), rounds(2, 2, 2))
    assert (found["value"], found["met"]) == (value, met)


def test_a_side_is_a_process_of_its_own(measure: ModuleType) -> None:
    side = measure.Side("start", {"statement": "print(sum(range(10**6)))"}, number=2)
    told = side.run()
    assert told["answer"] == {"printed": 13}
    assert 0.005 < told["cpu"] < 20  # of the interpreter that it starts, not of its own start
    assert told["versions"].keys() == {"tidegauge"}
    with pytest.raises(AssertionError, match=r"ended with 1:\n(.|\n)*CalledProcessError"):
        measure.Side("start", {"statement": "raise SystemExit(3)"}).run()


def test_entries_replace_their_namesakes(measure: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    measure.merge(path, "full", {"a": 1, "b": 2})
    measure.merge(path, "full", {"b": 3})
    assert json.loads(path.read_text())["benchmarks"] == {"a": 1, "b": 3}
    with pytest.raises(SystemExit, match="another scale"):
        measure.merge(path, "small", {"a": 1})


def result(**given: Any) -> dict[str, Any]:
    kept = {"measure": "faster", "against": "peer", "value": 3.0, "low": 2.0, "high": 4.0, "goal": 2.0, "stretch": None}
    return kept | {"met": True} | given


def record(*results: dict[str, Any]) -> dict[str, Any]:
    sides = {
        "tidegauge": {"cpu": [2.0], "versions": {"tidegauge": "1"}},
        "peer": {"cpu": [6.0], "versions": {"p": "2"}},
    }
    entry = {"work": "work", "date": "2026-01-01T00:00", "commit": "c", "build": "release of c", "load": [1.0, 2.0],
             "values": 10**9, "sides": sides, "results": list(results)}  # fmt: skip
    machine = {"processor": "P", "cores": 2, "system": "S", "python": "3"}
    return {"machine": machine, "benchmarks": {"x": entry}}


def test_rows_of_the_page(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "REASONS", {})
    text = page.performance(record(result(), result(measure="peak_mb", against="", value=61.2, goal=None, met=None)))
    assert "1 of 1 goals are met" in text
    assert "Of 1 benchmarks, 1 have one round" in text
    assert "| work | peer | 3 times less CPU (2 to 4) | at least 2 times | met | 2 |" in text
    assert "|  |  | peak 61 MB (2 to 4) |  |  |  |" in text
    assert "| work | peer | 3 times less CPU | at least 2 times |" in page.readme(record(result()))


def test_a_goal_that_is_not_met_needs_a_reason(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "REASONS", {})
    with pytest.raises(SystemExit, match="needs a reason"):
        page.performance(record(result(met=False)))
    monkeypatch.setattr(page, "REASONS", {("x", "faster peer"): "the cause"})
    text = page.performance(record(result(met=False, value=0.5, low=0.4, high=0.6)))
    assert "| 2 times more CPU | at least 2 times | no (1) |" in text
    assert "\n1. the cause." in text
    with pytest.raises(SystemExit, match="remove its reason"):
        page.performance(record(result()))
    monkeypatch.setattr(page, "REASONS", {("y", "faster peer"): "the cause"})
    with pytest.raises(SystemExit, match="no benchmark of the record"):
        page.performance(record(result()))
