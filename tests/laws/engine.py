"""The extension module with Python objects for its JSON; shared by laws, oracle, scoreboard and format."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from tidegauge import _core

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = ROOT.parent / "shared" / "data"


def profile(data: object, like: _core.Profile | None = None, **options: object) -> _core.Profile:
    return _core.profile_batches(data, json.dumps(options), like)


def profile_files(paths: Sequence[Path], like: _core.Profile | None = None, **options: object) -> _core.Profile:
    return _core.profile_paths([str(p) for p in paths], json.dumps(options), like, None)


def info(p: _core.Profile) -> Json:
    return cast("Json", json.loads(p.info_json()))


def column(p: _core.Profile, name: str = "x") -> Json:
    return next(c for c in info(p)["columns"] if c["name"] == name)


def number(value: object) -> object:
    """JSON writes numbers that are not finite as strings."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value  # type: ignore[arg-type]


def rows(reference: _core.Profile, current: _core.Profile, **options: object) -> list[Json]:
    found = json.loads(_core.compare(reference, current, json.dumps(options)))["rows"]
    return [{name: number(value) for name, value in row.items()} for row in found]


def row(found: list[Json], statistic: str, feature: str = "x") -> Json:
    (only,) = (r for r in found if r["statistic"] == statistic and r["feature"] == feature)
    return only


def compare(reference: object, current: object, **options: object) -> list[Json]:
    """Rows of two tables, the second profiled on what the first froze."""
    first = profile(reference)
    return rows(first, profile(current, first), **options)


def statistic(name: str, x: object, y: object, **options: object) -> Json:
    """One statistic of two arrays, as `tidegauge.stats` asks for it."""
    tables = [data if isinstance(data, pa.Table) else pa.table({"x": data}) for data in (x, y)]
    found = json.loads(_core.statistic(name, *tables, json.dumps(options)))
    return {key: number(value) for key, value in found.items()}


def data_folder(name: str) -> Path:
    """A data set of the examples, else one that may not be shipped and lies beside the checkout."""
    shipped = EXAMPLES / name
    if shipped.is_dir():
        return shipped
    folder = DATA / name
    if not folder.is_dir():
        message = f"data set {name} is not beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


def shares(counts: Mapping[object, int], cells: Sequence[object]) -> list[float]:
    total = sum(counts.values())
    return [counts.get(cell, 0) / total for cell in cells]
