"""What the comparison of two benchmark records calls faster, slower and noise."""

import copy
import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks" / "compare.py"
_spec = importlib.util.spec_from_file_location("bench_compare", PROGRAM)
assert _spec is not None
assert _spec.loader is not None
bench_compare = importlib.util.module_from_spec(_spec)
sys.modules["bench_compare"] = bench_compare
_spec.loader.exec_module(bench_compare)


def entry(ours: Any, peer: Any = None, peak: float = 100.0, version: str = "1") -> dict[str, Any]:
    sides: dict[str, Any] = {"tidegauge": {"cpu": list(map(float, ours)), "peak": [peak] * len(ours), "versions": {}}}
    if peer is not None:
        sides["peer"] = {"cpu": list(map(float, peer)), "peak": [1.0], "versions": {"peer": version}}
    return {"sides": sides}


def record(benchmarks: dict[str, Any], scale: str = "full") -> dict[str, Any]:
    return {"schema": bench_compare.SCHEMA, "scale": scale, "machine": {"cores": 2}, "benchmarks": benchmarks}


def verdict(a: dict[str, Any], b: dict[str, Any]) -> Any:
    return bench_compare.compare(record({"x": a}), record({"x": b}))[0]


def run(tmp_path: Path, a: Any, b: Any) -> "subprocess.CompletedProcess[str]":
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, content in zip(paths, (a, b), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return subprocess.run([sys.executable, str(PROGRAM), *map(str, paths)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 4), (5, 5), (7, 4)])
def test_p_value_is_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n * 10 + m)
    for shift in (0.0, 0.5, 2.0):
        x, y = rng.normal(size=n), rng.normal(shift, size=m)
        expected = mannwhitneyu(x, y, method="exact").pvalue
        assert bench_compare.mann_whitney(list(x), list(y)) == pytest.approx(expected, rel=1e-12)


def test_every_arrangement_is_counted_once() -> None:
    counted = [0] * 13
    for chosen in itertools.combinations(range(7), 3):
        others = [r for r in range(7) if r not in chosen]
        counted[sum(a > b for a in chosen for b in others)] += 1
    assert bench_compare.arrangements(3, 4) == tuple(counted)


def test_ties_are_no_difference() -> None:
    assert verdict(entry([1.0] * 5), entry([1.0] * 5)).verdict == "noise"
    assert bench_compare.mann_whitney([1.0] * 5, [1.0] * 5) == 1.0


def test_nothing_changed_is_noise() -> None:
    """The same code on a machine whose rounds scatter by a tenth: at most one verdict in fifty."""
    rng = np.random.default_rng(1)
    wrong = sum(
        verdict(entry(rng.lognormal(0, 0.1, 5)), entry(rng.lognormal(0, 0.1, 5))).verdict != "noise" for _ in range(500)
    )
    assert wrong <= 10  # 500 x 0.8 % expected at most, and ten is three deviations above


@pytest.mark.parametrize(("factor", "expected"), [(1.3, "slower"), (1 / 1.3, "faster"), (1.02, "noise")])
def test_a_change_beyond_the_spread(factor: float, expected: str) -> None:
    before = np.array([1.0, 1.01, 0.99, 1.005, 0.995])
    found = verdict(entry(before), entry(before * factor))
    assert found.verdict == expected
    assert found.change == pytest.approx(factor)


def test_a_slower_machine_is_no_slower_code() -> None:
    before = np.array([1.0, 1.02, 0.99, 1.01, 0.98])
    same = verdict(entry(before, before * 3), entry(before * 2, before * 6))
    assert (same.verdict, same.of) == ("noise", "CPU over peer")
    assert same.change == pytest.approx(1.0)
    assert verdict(entry(before, before * 3), entry(before * 2, before * 3)).verdict == "slower"


def test_another_version_of_the_peer_is_no_yardstick() -> None:
    before = np.array([1.0, 1.02, 0.99, 1.01, 0.98])
    found = verdict(entry(before, before), entry(before, before * 2, version="2"))
    assert (found.verdict, found.of) == ("noise", "CPU")
    assert verdict(entry(before, before[:1]), entry(before, before[:1] * 9)).of == "CPU"


def test_few_rounds_cannot_tell() -> None:
    assert verdict(entry([1.0, 1.0, 1.0]), entry([9.0, 9.1, 9.2])).verdict == "too few"


def test_memory() -> None:
    rounds = [1.0, 1.01, 0.99, 1.005, 0.995]
    assert verdict(entry(rounds), entry(rounds, peak=130)).verdict == "more memory"
    assert verdict(entry(rounds), entry(rounds, peak=104)).verdict == "noise"
    assert verdict(entry(rounds, peak=10), entry(rounds, peak=13)).verdict == "noise"  # 3 MB


def test_exit_codes(tmp_path: Path) -> None:
    rounds = np.array([1.0, 1.01, 0.99, 1.005, 0.995])
    before = record({"x": entry(rounds), "y": entry(rounds), "gone": entry(rounds)})
    after = record({"x": entry(rounds), "y": entry(rounds / 2), "new": entry(rounds)})
    good = run(tmp_path, before, after)
    assert good.returncode == 0
    assert "noise" in good.stdout
    assert "faster" in good.stdout
    assert "only before: gone" in good.stderr
    assert "only after: new" in good.stderr
    slow = copy.deepcopy(after)
    slow["benchmarks"]["x"] = entry(rounds * 1.5)
    found = run(tmp_path, before, slow)
    assert found.returncode == 1
    assert "slower" in found.stdout
    assert run(tmp_path, slow, before).returncode == 1  # y is twice as slow


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("{", record({}), "not JSON"),
        ({"schema": "other"}, record({}), "schema 'other'"),
        ([], record({}), "would be accepted"),
        (record({}), record({}), "no benchmark is in both"),
        (record({"x": entry([1.0])}), record({"x": entry([1.0])}, "small"), "scales full and small differ"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, a: Any, b: Any, message: str) -> None:
    found = run(tmp_path, a, b)
    assert found.returncode == 2
    assert message in found.stderr
    assert not found.stdout


def test_a_missing_file(tmp_path: Path) -> None:
    assert bench_compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
