"""Whoever changes anything in a record and renews every digest is found by what is made again, leaf by leaf.

What is made again is made once; every leaf is then altered in a copy of its section and compared, as the levels of
verification do. Leaves that steer what is made again (the configuration, the state of the store) go through the
whole command.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from tidegauge import _verify, _verify_store
from tidegauge._differences import NOT_MADE_AGAIN, differences, input_differences
from tidegauge.record import seal

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

CONFIGURATION = """
[model]
name = "late-arrival"
version = "2013.04"
path = "model.lgb.txt"
[reference]
path = "reference.parquet"
[current]
path = "log/*.parquet"
window = "1mo"
[roles]
time = "ts"
label = "label"
score = "score"
columns = ["ts", "label", "score", "temp", "carrier"]
[[checks]]
feature = "temp"
statistic = "ks"
max = 0.9
[output]
files = ["out/report.json"]
{more}
"""
PLAIN = 'profiles = "out"\naudit = "out/audit.jsonl"\nfail_on = "never"'
STORE = '[store]\npath = "store"\n[performance]\nenabled = false'


def flights(folder: Path, more: str) -> Path:
    """A run over some flights of three months, with the model's file; where its record is."""
    source = EXAMPLES / "nycflights13"
    (folder / "log").mkdir(parents=True)
    pl.read_parquet(source / "reference.parquet").gather_every(40).write_parquet(folder / "reference.parquet")
    current = pl.read_parquet(source / "current.parquet").gather_every(40)
    for month in (6, 7, 8):
        current.filter(pl.col("month") == month).write_parquet(folder / f"log/{month}.parquet", row_group_size=500)
    (folder / "model.lgb.txt").write_bytes((source / "model.lgb.txt").read_bytes())
    (folder / "tidegauge.toml").write_text(CONFIGURATION.format(more=more))
    tg.run(folder / "tidegauge.toml")
    return folder / "out/report.json"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flights(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flights(tmp_path_factory.mktemp("stored"), STORE)


def alterations(value: Any) -> list[Any]:
    """Other values in the place of a leaf, the nearest ones too."""
    match value:
        case None:
            return ["forged", 0]
        case bool():
            return [not value, int(value)]
        case int():
            return [value + 1, float(value)]
        case float():
            return [math.nextafter(value, math.inf), value / 2 if value else -0.0]
        case str():
            return [value + " ", value[:-1] if value else "x"]
    raise AssertionError(value)


def altered(section: Any, place: str) -> Iterator[tuple[str, Any]]:
    """A section with one leaf, one key or one element changed, for each; it is put back afterwards."""

    def at(container: Any, key: Any, name: str) -> Iterator[tuple[str, Any]]:
        value = container[key]
        if not isinstance(value, (dict, list)):
            for other in alterations(value):
                container[key] = other
                yield name, holder[0]
            container[key] = value
            return
        if isinstance(value, dict):
            for inner in list(value):
                yield from at(value, inner, f"{name}.{inner}")
            taken = dict(value)
            value["forged"] = 1
            yield f"{name}.forged", holder[0]
            del value["forged"]
            if taken:
                last = next(reversed(taken))
                kept = value.pop(last)
                yield f"{name} without {last}", holder[0]
                value[last] = kept
        else:
            for i in range(len(value)):
                yield from at(value, i, f"{name}[{i}]")
            value.append("forged")
            yield f"{name} longer", holder[0]
            value.pop()
            if value:
                last = value.pop()
                yield f"{name} shorter", holder[0]
                value.append(last)

    holder = [section]
    yield from at(holder, 0, place)


#: What is read of a record to make it again, or held against other files: tried by the whole command.
STEERING = (
    "inputs.configuration_as_written", "inputs.configuration_name", "inputs.configuration_overrides",
    "inputs.current.store", "inputs.current.problems",
)  # fmt: skip


def made_again(report: Path) -> tuple[dict[str, Any], dict[str, Any], tuple[str, str]]:
    """A record, what verification makes again of it, and the folders of both."""
    record = json.loads(report.read_text())
    settings = _verify._settings(record, _verify.Places.of(record, report, None), digests=True)
    assert settings is not None
    if settings.store is None:
        made = _verify._made_again(record, settings, {}, None)
    else:
        made = _verify_store.made_again(record, settings, None)
    assert not differences(record["result"], made["result"])
    assert not _verify.inputs_again(record, made["inputs"], settings)
    return record, made, (record["envelope"]["folder"], str(report.parents[1]))


def forge(report: Path, record: dict[str, Any]) -> None:
    """Write a record with digests that hold."""
    report.write_text(json.dumps({**seal(record), "sign_off": record["sign_off"]}))


def sweep(report: Path, stride: int) -> tuple[int, list[str]]:
    """How many alterations were compared, and those that were not named; of lists of digests one in `stride`."""
    record, made, folders = made_again(report)
    tried, missed = 0, []
    for part in ("result", "inputs"):
        for name, section in record[part].items():
            again = made[part][name]
            for number, (place, other) in enumerate(altered(section, f"{part}.{name}")):
                many = name in ("rows", "histograms", "performance") or "parts" in place or "row_digest" in place
                if place.startswith((*STEERING, *NOT_MADE_AGAIN)) or (many and number % stride):
                    continue
                tried += 1
                if part == "result":
                    told = differences({name: other}, {name: again})
                else:
                    told = input_differences({name: other}, {name: again}, folders)
                if not told or not told[0].startswith(f"{part}.{name}"):
                    missed.append(f"{place}: {told[:1]}")
    return tried, missed


@pytest.mark.parametrize(("kind", "least"), [("plain", 1000), ("stored", 500)])
def test_every_leaf(kind: str, least: int, request: pytest.FixtureRequest) -> None:
    tried, missed = sweep(request.getfixturevalue(kind), 89)
    assert not missed, (len(missed), missed[:20])
    assert tried > least


@pytest.mark.parametrize("kind", ["plain", "stored"])
def test_leaves_that_steer_go_through_the_command(kind: str, request: pytest.FixtureRequest) -> None:
    """The last level that is needed names the place, or the file it is held against."""
    report: Path = request.getfixturevalue(kind)
    content = report.read_bytes()
    record = json.loads(content)
    places = [place for place in (*STEERING, *NOT_MADE_AGAIN) if place.startswith("inputs.")]
    tried = 0
    try:
        for place in places:
            *path, last = place.removeprefix("inputs.").split(".")
            holder = record["inputs"]
            for name in path:
                holder = holder.get(name, {})
            if last not in holder:
                continue
            for where, _ in altered_in(holder, last, place):
                forge(report, record)
                found = tg.verify(report)
                tried += 1
                assert found.exit_code() == 6, where
                told = [text for level in found.levels for text in level.differences]
                file = f"{record['inputs']['configuration_name']}:"
                named = (place, "schema: inputs.", file, "tidegauge.toml", "out/", "store/", "store ", "result.")
                assert any(text.startswith(named) for text in told), (where, told[:3])
    finally:
        report.write_bytes(content)
    assert tried > 10
    assert tg.verify(report).same


def altered_in(holder: dict[str, Any], key: str, place: str) -> Iterator[tuple[str, Any]]:
    """As :func:`altered`, of one key of a section, which is put back."""
    section = holder[key]
    boxed = [section]
    for name, value in altered(section, place):
        holder[key] = value
        yield name, value
        holder[key] = boxed[0]


if __name__ == "__main__":
    # All of them, which takes minutes: `python tests/record/test_forged.py FOLDER`.
    for kind, more in (("plain", PLAIN), ("stored", STORE)):
        print(kind, *sweep(flights(Path(sys.argv[1]) / kind, more), 1))
