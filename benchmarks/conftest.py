"""Options of the benchmarks, and the fixture that runs sides in turn and keeps a record."""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measure
import peers
import pytest
import shapes
from measure import Goal, Side


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tidegauge benchmarks")
    group.addoption("--scale", choices=tuple(shapes.SCALES), default="small", help="sizes; full is the table")
    group.addoption("--record", type=Path, help="JSON record to write; entries of the same name are replaced")
    group.addoption("--rounds", type=int, default=0, help="rounds of every side instead of the benchmark's own number")
    default = Path(tempfile.gettempdir(), "tidegauge-bench")
    group.addoption("--dir", type=Path, default=default, help=f"where data is kept (default {default})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=measure.clock, group=item.path.stem.removeprefix("bench_")))


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> shapes.Data:
    return shapes.Data(request.config.getoption("--dir"), shapes.SCALES[request.config.getoption("--scale")])


class Versus:
    """Runs ours and the peers in turn, checks the answers before any time is kept, and records what both cost."""

    def __init__(self, benchmark: Any, request: pytest.FixtureRequest) -> None:
        self.benchmark, self.request = benchmark, request
        self.name = request.node.name.removeprefix("test_")

    def __call__(
        self,
        work: str,
        ours: Side,
        goals: list[Goal],
        *,
        against: Mapping[str, Side] | None = None,
        check: Callable[[Any, dict[str, Any]], None],
        rounds: int = 5,
        peer_rounds: int = 5,
        values: int | None = None,
    ) -> dict[str, Any]:
        """Measure; `values` is how many values the work reads, `peer_rounds` fewer where a peer takes minutes."""
        others = dict(against or {})
        for name, side in list(others.items()):
            if side.peer and peers.interpreter(side.peer) is None:
                pytest.skip(f"{name} is not installed: `python benchmarks/peers.py {side.peer}`")
        forced = self.request.config.getoption("--rounds")
        rounds, peer_rounds = (forced, forced) if forced else (rounds, min(rounds, peer_rounds))
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in others}
        mine: list[dict[str, Any]] = []
        load, begun = measure.load(), measure.now()

        def theirs() -> None:
            for name, side in others.items():
                if len(found[name]) < peer_rounds:
                    found[name].append(side.run())

        def once() -> None:
            told = ours.run()
            if not mine:
                check(told["answer"], {name: rounds_[0]["answer"] for name, rounds_ in found.items()})
            measure.clock.now += told["cpu"]
            mine.append(told)

        self.benchmark.pedantic(once, setup=theirs, rounds=rounds, iterations=1)
        results = [goal.judge(mine, found.get(goal.against, [])) for goal in goals]
        entry = {
            "work": work,
            "group": self.benchmark.group,
            "date": begun,
            "commit": measure.commit(),
            "build": measure.build(),
            "load": [load, measure.load()],
            "values": values,
            "results": results,
            "sides": {
                name: {key: [round(r[key], 6) for r in side] for key in ("cpu", "wall", "peak", "base")}
                | {"versions": side[0]["versions"]}
                for name, side in {"tidegauge": mine, **found}.items()
            },
        }
        self.benchmark.extra_info.update(results=results)
        for result in results:
            beside = f" against {result['against']}" if result["against"] else ""
            goal = (
                "" if result["goal"] is None else f", goal {result['goal']:g}: {'met' if result['met'] else 'not met'}"
            )
            print(f"\n  {work}: {result['measure']} {result['value']:g}{beside}{goal}", end="")
        self.keep(entry)
        return entry

    def keep(self, entry: dict[str, Any]) -> None:
        path = self.request.config.getoption("--record")
        if path is not None:
            measure.merge(path, self.request.config.getoption("--scale"), {self.name: entry})


@pytest.fixture
def versus(benchmark: Any, request: pytest.FixtureRequest) -> Versus:
    return Versus(benchmark, request)


def median(entry: dict[str, Any], side: str = "tidegauge", key: str = "cpu") -> float:
    """Median of the rounds of a side."""
    return statistics.median(entry["sides"][side][key])
