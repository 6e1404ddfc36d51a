"""Law 11 over every output: rare values and extremes are planted, and looked for in all that is shown."""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tidegauge as tg
from tidegauge import _privacy
from tidegauge._privacy import without_value
from tidegauge._profile import make_options, scan
from tidegauge.errors import TidegaugeError

#: Held by 3 to 9 rows of each side, or by one.
RARE = ("rare-city", "rare-plan", "rare-group", "rare-new", "7654321.25", "7654321", "-7654321.25", "-7654321")
#: Of sensitive columns: held by many rows, but for the extremes and the value of another type.
SENSITIVE = ("secret-illness", "secret-rare", "8765432.5", "8765432", "-8765432", "4242.4242")
#: Held by many rows, and shown: without these the test would pass on empty outputs.
COMMON = ("Oslo", "basic")
SUFFIXES = (".json", ".html", ".md", ".txt", ".xml", ".prom", ".ndjson", ".parquet")
#: Borders of cells beside a planted extreme would tell it; those of histograms still do, to five digits.
NEAR = re.compile(r"(?<![\d.])-?(76543|87654)\d\d(?!\d)")
#: Profiles hold states, from which rows are compared: values of columns that are not sensitive are in them.
STATES = ("profile.parquet", "performance.parquet", ".tgp")


def table(seed: int, start: str) -> pl.DataFrame:
    """Two months of rows with rare values among common ones."""
    rng = np.random.default_rng(seed)
    n = 8000
    city = rng.choice(["Oslo", "Rome", "Lima"], n).astype(object)
    plan = rng.choice(["basic", "gold"], n, p=[0.7, 0.3] if seed == 1 else [0.3, 0.7]).astype(object)
    illness = rng.choice(["secret-illness", "none"], n, p=[0.2, 0.8] if seed == 1 else [0.6, 0.4]).astype(object)
    group = rng.choice(["f", "m"], n).astype(object)
    city[5:9], plan[100:106], group[200:209], illness[300:303] = "rare-city", "rare-plan", "rare-group", "secret-rare"
    if seed == 2:
        plan[400:404] = "rare-new"
    x, income = rng.normal(seed, 1, n), rng.normal(40_000, 9000, n).round(2)
    x[7], x[8] = 7654321.25, -7654321.25
    income[17], income[18] = 8765432.5, -8765432.0
    rooms = rng.integers(0, 6, n).astype(float)
    if seed == 2:
        rooms[50] = 4242.4242
    score = rng.uniform(0.05, 0.95, n)
    times = np.datetime64(start, "us") + (np.sort(rng.random(n)) * 60 * 86_400e6).astype("timedelta64[us]")
    return pl.DataFrame({
        "ts": times,
        "x": x, "city": pl.Series(city, dtype=pl.String), "plan": pl.Series(plan, dtype=pl.String),
        "illness": pl.Series(illness, dtype=pl.String), "income": income,
        "rooms": rooms if seed == 2 else rooms.astype(int), "group": pl.Series(group, dtype=pl.String),
        "score": score, "y": (rng.random(n) < score).astype(int),
    })  # fmt: skip


@pytest.fixture(scope="module", params=["plain", "store"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    table(1, "2024-01-01").write_parquet(folder / "reference.parquet")
    table(2, "2024-03-01").write_parquet(folder / "log.parquet")
    plain = request.param == "plain"
    (folder / "tidegauge.toml").write_text(f"""
[reference]
path = "reference.parquet"
[current]
path = "log.parquet"
window = "1mo"
by = ["city", ["city", "plan"]]
baselines = ["reference", "previous"]
[roles]
time = "ts"
score = "score"
label = "y"
{'protected = ["group"]' if plain else ""}
sensitive = ["illness", "income", "rooms"]
[output]
files = [{", ".join(f'"out/report{suffix}"' for suffix in SUFFIXES)}]
profiles = "out"
audit = "out/audit.jsonl"
fail_on = "never"
{"" if plain else "[store]" + chr(10) + 'path = "store"'}
""")
    said = []
    for line in (
        ["run", "tidegauge.toml"], ["gate", "out/report.json"], ["verify", "out/report.json", "--level", "numbers"],
        ["plan", "tidegauge.toml"], ["inspect", "out/report.json"], ["inspect", "out/current.tgp"],
        ["inspect", "out/reference.tgp", "--format", "json"], ["report", "out/report.json"],
        ["profile", "log.parquet", "--like", "out/reference.tgp"],
    ):  # fmt: skip
        made = subprocess.run(
            [sys.executable, "-c", "from tidegauge.cli import main; main()", *line],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode in (0, 1, 4), made.stderr
        said.append(f"{' '.join(line)}\n{made.stdout}{made.stderr}")
    (folder / "out" / "said.txt").write_text("\n".join(said))
    report = tg.run(folder / "tidegauge.toml")
    (folder / "out" / "card.html").write_text(report._repr_html_())
    (folder / "out" / "frame.txt").write_text(json.dumps(report.to_polars().cast(pl.String).rows()))
    return folder


def outputs(folder: Path) -> Iterator[tuple[str, str]]:
    """Every output as text; tables cell by cell."""
    for path in sorted([*(folder / "out").rglob("*"), *(folder / "store").rglob("*")]):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            binary = [column for column, dtype in frame.schema.items() if dtype == pl.Binary]
            yield name, frame.drop(binary).write_ndjson()
            for column in binary:
                yield f"{name} {column}", "".join(str(content) for content in frame[column])
        else:
            yield name, path.read_bytes().decode("latin-1")


def found(text: str, values: tuple[str, ...]) -> list[str]:
    """Which values a text holds; numbers only where no further digit follows."""
    return [v for v in values if re.search(rf"(?<![\d.]){re.escape(v)}(?!\d)", text)]


def test_what_few_rows_hold_is_in_no_output(run: Path) -> None:
    leaks, seen = [], set()
    for name, text in outputs(run):
        seen |= set(found(text, COMMON))
        if not any(state in name for state in STATES):
            leaks += [(name, value) for value in found(text, RARE)]
            if name.startswith("store"):
                leaks += [(name, match[0]) for match in NEAR.finditer(text)]
    assert leaks == []
    assert seen == set(COMMON)


def test_sensitive_values_are_nowhere(run: Path) -> None:
    """Not in the profiles either, which hold hashes of them."""
    assert [(name, found(text, SENSITIVE)) for name, text in outputs(run) if found(text, SENSITIVE)] == []
    made = tg.profile(run / "log.parquet", like=run / "out" / "reference.tgp")
    (illness,) = [column for column in made.info["columns"] if column["name"] == "illness"]
    assert illness["distinct"] == 3
    (income,) = [column for column in made.info["columns"] if column["name"] == "income"]
    assert (income["min"], income["max"]) == (None, None)


def test_what_is_hidden_is_counted(run: Path) -> None:
    record = json.loads((run / "out/report.json").read_text())
    told = [note for note in record["result"]["limitations"] if "not named" in note]
    assert len(told) == 1
    hidden = {
        (row["window_start"], row["segment_by"], row["segment_value"])
        for row in tg.record.unpack_rows(record["result"]["rows"])
        if str(row["segment_value"]).startswith(_privacy.HIDDEN)
    }
    assert told[0].endswith(f": {len(hidden)}.")
    groups = {"group"} if (run / "store").exists() is False else set()
    assert {by for _, by, _ in hidden} == {"city", "city, plan"} | groups


def test_verdicts_do_not_depend_on_hiding(run: Path) -> None:
    """Shares of sensitive columns are those of their values: drift is found, and is that of plain columns."""
    names = ["illness", "plan"]
    plain = tg.drift(run / "reference.parquet", run / "log.parquet", columns=names)
    hidden = tg.drift(run / "reference.parquet", run / "log.parquet", columns=names, sensitive=["illness"])
    values = [
        [(r["statistic"], r["value"], r["verdict"]) for r in x.rows if r["feature"] == "illness"]
        for x in (plain, hidden)
    ]
    assert values[0] == values[1]
    assert {row["feature"] for row in hidden.failed} == {"illness", "plan"}
    assert "secret" not in json.dumps(hidden.record)
    assert "secret-illness" in json.dumps(plain.record)


def test_what_would_tell_sensitive_values_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(tg.errors.UsageError, match='column "illness" is sensitive, and segments would tell its values'):
        tg.profile(run / "log.parquet", by="illness", sensitive=["illness"])
    config = tmp_path / "tidegauge.toml"
    config.write_text(f"""
[reference]
path = "{run}/reference.parquet"
[current]
path = "{run}/log.parquet"
[roles]
score = "score"
label = "y"
protected = ["illness"]
sensitive = ["illness"]
""")
    with pytest.raises(tg.errors.ConfigError, match="column 'illness' is protected too"):
        tg.run(config)


def test_extremes_that_many_rows_hold_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from tidegauge._privacy import without_extremes

    info = tg.profile({"a": [0.0] * 10 + [0.5] * 5 + [1.0] * 9, "b": [0.0] * 9 + [1.0] * 15}).info
    ends = {column["name"]: (column["min"], column["max"]) for column in without_extremes(info)["columns"]}
    assert ends == {"a": (0.0, None), "b": (None, 1.0)}


#: 4,711 in a column of numbers, by one row.
ODD = ("4711", "4,711")


@pytest.mark.parametrize(("kind", "how"), [
    *((kind, how) for kind in ("csv", "ndjson", "parquet") for how in ("sensitive", "protected")),
    # A role of a column that does not convert is refused.
    ("objects", "sensitive"),
])  # fmt: skip
def test_a_value_that_does_not_convert_is_not_told(tmp_path: Path, how: str, kind: str) -> None:
    """Neither in the error of a reader nor in a note on the column; what it should have been is, and the column."""
    n = 25_000
    if kind == "parquet":
        reference: Any = pl.DataFrame({"x": range(n), "y": range(n)})
        current: Any = pl.DataFrame({"x": [*map(float, range(n)), 4711.5], "y": range(n + 1)})
    elif kind == "objects":
        reference = pl.DataFrame({"x": range(n), "y": range(n)})
        current = pd.DataFrame({"x": pd.Series([1, "x4711", 3], dtype=object), "y": [1, 2, 3]})
    else:
        # Later than what a reader looks at to tell types.
        reference, current = tmp_path / f"reference.{kind}", tmp_path / f"current.{kind}"
        table = pl.DataFrame({"x": [*map(str, range(n)), "x4711"], "y": range(n + 1)})
        for path, frame in ((reference, table.head(n)), (current, table)):
            frame.write_csv(path)
            if kind == "ndjson":
                lines = (f'{{"x": {v if v.isdigit() else json.dumps(v)}, "y": 1}}\n' for v in frame["x"])
                path.write_text("".join(lines))

    def told(**chosen: Any) -> str:
        options = make_options(**chosen.pop("options", {}))
        options = dataclasses.replace(options, roles={**options.roles, **chosen})
        made = scan(reference, options)
        try:
            problems = scan(current, options, like=made).info["problems"]
            return "; ".join(f"{problem['name']}: {problem['message']}" for problem in problems)
        except TidegaugeError as error:
            return str(error)

    shown = told()
    assert found(shown, ODD)
    hidden = told(options={"sensitive": "x"}) if how == "sensitive" else told(x="protected")
    assert not found(hidden, ODD)
    assert "which is not told" in hidden
    assert kind == "ndjson" or re.search(r"\bx\b", hidden.replace(str(tmp_path), ""))
    other = told(options={"sensitive": "y"}) if how == "sensitive" else told(y="protected")
    # The reader of NDJSON does not say which column it is.
    assert bool(found(other, ODD)) == (kind != "ndjson")


@pytest.mark.parametrize("value", [
    "Zq", "Zq`Zq", "Zq's", "Zq\nZq", "Zq` as dtype `i64` at column 'y' (column number 2)", "Zq' (string) as Int64",
])  # fmt: skip
def test_no_value_hides_that_it_is_one(value: str) -> None:
    """Values that look like the message around them."""
    cut = [f"could not parse `{value}".partition("\n")[0]] if "\n" in value else []
    for message in (
        f"could not parse `{value}` as dtype `i64` at column 'x' (column number 1)",
        f"cannot parse '{value}' (string) as Int64",
        *cut,
    ):
        told = without_value(f"a.csv: {message}", {"x"})
        assert told.startswith("a.csv: could not parse a value, which is not told, as ")
        assert "Zq" not in told
        assert without_value(message, set()) == message
    told = f"could not parse `{value}` as dtype `i64` at column 'x' (column number 1)"
    assert without_value(told, {"y"}) == told
