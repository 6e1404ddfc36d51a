"""Data quality and schema rows against brute force, through files and frames, in windows and segments."""

import datetime as dt
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from engine import data_folder
from statsmodels.stats.proportion import proportion_confint
from tidegauge.errors import UsageError

DATA_SETS = ["nycflights13", "bike_2011", "bike_sharing", "adult"]
Rows = list[dict[str, Any]]


def of(rows: Rows, statistic: str, feature: str = "x", **where: Any) -> dict[str, Any]:
    found = [
        r
        for r in rows
        if r["statistic"] == statistic and r["feature"] == feature and all(r[k] == v for k, v in where.items())
    ]
    (only,) = found
    return only


def drift(reference: Any, current: Any, **options: Any) -> Rows:
    return list(tg.drift(reference, current, **options).rows)


def windows(table: pl.DataFrame, time: str | None) -> dict[str | None, pl.DataFrame]:
    """The rows of each month by the start of its window."""
    if time is None:
        return {None: table}
    months = table.with_columns(pl.col(time).dt.truncate("1mo").alias("__month")).partition_by("__month", as_dict=True)
    return {key[0].strftime("%Y-%m-01T00:00:00Z"): part.drop("__month") for key, part in months.items()}


@pytest.mark.parametrize("name", DATA_SETS)
@pytest.mark.parametrize("through", ["files", "frames"])
def test_rates_ranges_and_categories_of_real_logs(name: str, through: str) -> None:
    paths = [data_folder(name) / f"{side}.parquet" for side in ("reference", "current")]
    before, now = (pl.read_parquet(path) for path in paths)
    reference = tg.profile(paths[0] if through == "files" else before)
    roles = {c["name"]: c["role"] for c in reference.info["columns"]}
    time = next((n for n, role in roles.items() if role == "time"), None)
    current = tg.profile(paths[1] if through == "files" else now, like=reference, window="1mo" if time else None)
    rows = list(tg.compare(reference, current).rows)
    judged = [n for n, role in roles.items() if role in ("feature", "score", "prediction", "label")]
    checked = 0
    for start, part in windows(now, time).items():
        assert of(rows, "schema", "*", window_start=start)["value"] == 0
        assert of(rows, "volume", "*", window_start=start)["n_current"] == part.height
        for column in judged:
            x, y = before[column], part[column]
            null = abs(x.null_count() / len(x) - y.null_count() / len(y))
            assert of(rows, "null_rate", column, window_start=start)["value"] == pytest.approx(null, abs=1e-15)
            a, b = x.drop_nulls(), y.drop_nulls()
            if x.dtype.is_float():
                nan = abs(x.is_nan().sum() / len(x) - y.is_nan().sum() / len(y))
                assert of(rows, "nan_rate", column, window_start=start)["value"] == pytest.approx(nan, abs=1e-15)
                infinite = abs(x.is_infinite().sum() / len(x) - y.is_infinite().sum() / len(y))
                row = of(rows, "infinite_rate", column, window_start=start)
                assert row["value"] == pytest.approx(infinite, abs=1e-15)
                a, b = a.drop_nans(), b.drop_nans()
            if len(b) == 0:
                continue
            row = of(rows, "constant", column, window_start=start)
            assert row["value"] == float((a.n_unique() == 1) != (b.n_unique() == 1)), (column, start)
            assert row["exactness"] == "exact"
            if x.dtype.is_numeric():
                outside = ((b < a.min()) | (b > a.max())).sum() / len(b)
                row = of(rows, "range_violation", column, window_start=start)
                assert row["bound_low"] <= outside + 1e-15
                assert outside <= row["bound_high"] + 1e-15
            elif x.dtype == pl.String:
                gone = (~a.is_in(b.unique().implode())).sum() / len(a)
                row = of(rows, "vanished_category_mass", column, window_start=start)
                assert row["bound_low"] - 1e-15 <= gone <= row["bound_high"] + 1e-15
                if row["exactness"] == "exact":
                    assert row["value"] == pytest.approx(gone, abs=1e-15)
                    share = a.value_counts()["count"].to_numpy() / len(a)
                    missed = (share * (1 - share) ** len(b)).sum()
                    assert row["value_if_no_change"] == pytest.approx(missed, rel=1e-9)
            checked += 1
    assert checked >= len(judged)


@pytest.mark.parametrize("name", ["nycflights13", "bike_2011", "bike_sharing"])
def test_rows_over_time_of_real_logs(name: str) -> None:
    paths = [data_folder(name) / f"{side}.parquet" for side in ("reference", "current")]
    before, now = (pl.read_parquet(path) for path in paths)
    reference = tg.profile(paths[0])
    time = next(c["name"] for c in reference.info["columns"] if c["role"] == "time")
    rows = list(tg.compare(reference, tg.profile(paths[1], like=reference, window="1mo")).rows)

    def per_day(table: pl.DataFrame, days: int) -> np.ndarray:
        counts = table.group_by(pl.col(time).dt.date()).len()["len"].to_numpy()
        return np.append(counts, np.zeros(days - len(counts)))

    days = (before[time].max().date() - before[time].min().date()).days + 1
    usual = per_day(before, days)
    for start, part in windows(now, time).items():
        assert start is not None
        begin = dt.datetime.fromisoformat(start)
        end = (begin + dt.timedelta(days=31)).replace(day=1)
        stamps = part[time].dt.replace_time_zone("UTC") if part[time].dtype.time_zone is None else part[time]
        stamps = stamps.sort().dt.convert_time_zone("UTC")
        last = (end - stamps[-1]).total_seconds()
        assert of(rows, "freshness", time, window_start=start)["value"] == pytest.approx(last, rel=1e-12)
        edges = [begin, *stamps.to_list(), end]
        gap = max((b - a).total_seconds() for a, b in pairwise(edges))
        row = of(rows, "longest_gap", time, window_start=start)
        assert row["bound_low"] - 1e-6 <= gap <= row["bound_high"] + 1e-6
        counts = per_day(part, (end - begin).days)
        assert of(rows, "empty_blocks", "*", window_start=start)["value"] == (counts == 0).sum()
        row = of(rows, "volume_rate", "*", window_start=start)
        assert row["value"] == pytest.approx(counts.mean() / usual.mean(), rel=1e-12)
        se = math.hypot(*(c.std(ddof=1) / c.mean() / math.sqrt(len(c)) for c in (counts, usual)))
        assert row["ci_low"] <= row["value"] * math.exp(-1.9 * se)
        assert row["ci_high"] >= row["value"] * math.exp(1.9 * se)


def clock(minutes: list[float]) -> pl.Series:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pl.Series("ts", [start + dt.timedelta(minutes=m) for m in minutes], dtype=pl.Datetime("us", "UTC"))


def test_gaps_and_windows_without_a_row() -> None:
    reference = pl.DataFrame({"ts": clock([60.0 * i for i in range(24 * 30)]), "x": range(24 * 30)})
    kept = [60.0 * i for i in range(24 * 10) if not 30 <= i < 39 and i // 24 not in (4, 5)]
    current = pl.DataFrame({"ts": clock(kept), "x": range(len(kept))})
    first = tg.profile(reference)
    rows = list(tg.compare(first, tg.profile(current, like=first, window="1d")).rows)
    day = [f"2024-01-{i:02d}T00:00:00Z" for i in range(1, 12)]
    assert of(rows, "longest_gap", "ts", window_start=day[0])["value"] == 3600
    # From 05:00 to 15:00 of the second day.
    row = of(rows, "longest_gap", "ts", window_start=day[1])
    assert (row["value"], row["exactness"]) == (36_000, "exact")
    assert of(rows, "freshness", "ts", window_start=day[1])["value"] == 3600
    hole = of(rows, "volume", "*", window_start=day[4])
    assert (hole["value"], hole["n_current"], hole["window_end"]) == (0, 0, day[6])
    whole = list(tg.compare(first, tg.profile(current, like=first)).rows)
    assert of(whole, "empty_blocks", "*")["value"] == 2
    assert of(whole, "longest_gap", "ts")["value"] == 49 * 3600
    assert of(whole, "volume_rate", "*")["value"] == pytest.approx(len(kept) / 10 / 24)


def test_a_date_lasts_a_day() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(31)]
    reference = pl.DataFrame({"date": days, "x": range(31)})
    current = pl.DataFrame({"date": [*days[:10], *days[13:30]], "x": range(27)})
    first = tg.profile(reference)
    rows = list(tg.compare(first, tg.profile(current, like=first, window="1mo")).rows)
    assert of(rows, "longest_gap", "date")["value"] == 3 * 86_400
    assert of(rows, "freshness", "date")["value"] == 86_400
    assert of(rows, "empty_blocks", "*")["value"] == 4


VALUES = {
    "nothing": [],
    "one row": [1.5],
    "all null": [None] * 20,
    "one value": [2.0] * 50,
    "special": [math.nan, math.inf, -math.inf, 0.0, -0.0, None, 1.0] * 8,
    "infinities": [math.inf] * 30,
    "numbers": [float(i % 17) for i in range(400)],
}


@pytest.mark.parametrize("before", VALUES)
@pytest.mark.parametrize("now", VALUES)
def test_adversarial_columns(before: str, now: str, tmp_path: Path) -> None:
    tables = [pa.table({"x": pa.array(VALUES[name], pa.float64()), "k": pa.array([1] * len(VALUES[name]))})
              for name in (before, now)]  # fmt: skip
    for name, table in zip(("a", "b"), tables, strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7)
    rows = drift(*tables)
    files = drift(tmp_path / "a.parquet", tmp_path / "b.parquet")
    keep = ("feature", "statistic", "value", "bound_low", "bound_high", "verdict", "message")
    assert [[r[k] for k in keep] for r in rows] == [[r[k] for k in keep] for r in files]
    x, y = VALUES[before], VALUES[now]
    values = [{v + 0.0 for v in side if v is not None and not math.isnan(v)} for side in (x, y)]
    row = of(rows, "constant")
    if all(values):
        assert row["value"] == float((len(values[0]) == 1) != (len(values[1]) == 1))
    else:
        assert row["value"] is None
        assert "has no value" in row["message"]
    if x and y:
        share = [sum(v is not None and math.isinf(v) for v in side) / len(side) for side in (x, y)]
        row = of(rows, "infinite_rate")
        assert row["value"] == pytest.approx(abs(share[0] - share[1]), abs=1e-15)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]


def test_constant_either_way_and_by_chance() -> None:
    several, one = ["a", "b", "c", "c"] * 25, ["c"] * 12
    row = of(drift({"x": several}, {"x": one}), "constant")
    assert row["value"] == 1
    assert row["value_if_no_change"] == pytest.approx(2 * 0.25**12 + 0.5**12, rel=1e-12)
    assert row["message"] == "every current value is 'c'; the reference holds 3 values"
    back = of(drift({"x": one}, {"x": several}), "constant")
    assert (back["value"], back["value_if_no_change"]) == (1, 0)
    # Fewer rows than ten name nobody's value.
    assert "'c'" not in of(drift({"x": several}, {"x": one[:3]}), "constant")["message"]
    # Neighbours that doubles cannot tell apart are several values.
    big = np.array([2**60, 2**60 + 1] * 20)
    assert of(drift({"x": np.full(40, 2**60)}, {"x": big}), "constant")["value"] == 1


def test_categories_that_vanished_are_named_from_ten_rows_on() -> None:
    words = ["kept"] * 70 + ["gone"] * 20 + ["rare"] * 3 + ["other"] * 7
    row = of(drift({"x": words}, {"x": ["kept"] * 40}), "vanished_category_mass")
    assert row["value"] == pytest.approx(0.3)
    assert row["ci_low"] < 0.3 < row["ci_high"]
    assert "'gone' (20 reference rows)" in row["message"]
    assert "rare'" not in row["message"]
    assert "2 rare values" in row["message"]
    many = [f"v{i}" for i in range(40_000)] + ["w"] * 40_000
    row = of(drift({"x": many}, {"x": ["w"] * 1000}), "vanished_category_mass")
    assert row["bound_low"] <= 0.5 <= row["bound_high"]


def test_schema_differences_are_rows() -> None:
    n = 60
    few = [i % 30 for i in range(n)]
    reference = pl.DataFrame({
        "kept": few, "gone": few, "narrow": [float(i) for i in few], "wrong": few,
        "inexact": few, "when": [dt.date(2024, 1, 1)] * n,
    })  # fmt: skip
    current = pl.DataFrame({
        "extra": ["x"] * n, "inexact": [0.5] * n, "wrong": ["text"] * n, "narrow": few, "kept": few,
        "when": [dt.date(2024, 1, 1)] * n,
    })  # fmt: skip
    report = tg.drift(reference, current)
    rows = list(report.rows)
    missing = of(rows, "schema", "gone")
    assert (missing["verdict"], missing["decides"], missing["value"]) == ("fail", True, 1)
    assert missing["message"] == 'column "gone" (int) is missing from the current data'
    for name, told in (("wrong", "is string here and int in the reference"), ("inexact", "0.5 (float)")):
        row = of(rows, "schema", name)
        assert (row["verdict"], row["decides"]) == ("fail", True)
        assert told in row["message"]
    note = of(rows, "schema", "narrow")
    assert (note["verdict"], note["decides"], note["value"]) == (None, False, 1)
    assert "int here and float in the reference; every value converts exactly" in note["message"]
    assert of(rows, "verdict", "narrow")["verdict"] in ("ok", "inconclusive")
    extra = of(rows, "schema", "extra")
    assert (extra["verdict"], extra["decides"]) == (None, False)
    assert extra["message"] == 'column "extra" (string) is not in the reference'
    whole = of(rows, "schema", "*")
    assert whole["value"] == 5
    assert whole["message"] == ('missing: "gone"; new: "extra"; of another type: "inexact", "narrow", "wrong"')
    assert report.exit_code() == 1
    # The order of columns, their width and their encoding are no difference.
    same = reference.select(reversed(reference.columns)).with_columns(pl.col("kept").cast(pl.Int16))
    assert of(drift(reference, same), "schema", "*")["value"] == 0


def key_table(keys: list[Any], **more: list[Any]) -> pa.Table:
    return pa.table({"key": keys, "x": list(range(len(keys))), **more})


@pytest.mark.parametrize("make", [lambda i: i, lambda i: f"order {i}", lambda i: i + 0.5])
def test_duplicate_keys(make: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    numbers = [int(i) for i in rng.integers(0, 3000, 5000)]
    keys = [None if i % 97 == 0 else make(numbers[i]) for i in range(5000)]
    table = key_table(keys, day=[dt.datetime(2024, 1, 1 + i % 5) for i in range(5000)],
                      shop=["a" if i % 3 else "b" for i in range(5000)])  # fmt: skip
    held = pl.from_arrow(table)
    assert isinstance(held, pl.DataFrame)

    def repeated(part: pl.DataFrame) -> int:
        known = part["key"].drop_nulls()
        return len(known) - known.n_unique()

    reference = tg.profile(key_table([make(i) for i in range(50)], day=[dt.datetime(2024, 1, 1)] * 50,
                                     shop=["a"] * 25 + ["b"] * 25), id="key", time="day", by=["shop"])  # fmt: skip
    # Duplicates across files and row groups count like those within.
    for i in range(4):
        pq.write_table(table.slice(1250 * i, 1250), tmp_path / f"{i}.parquet", row_group_size=311)
    options: dict[str, Any] = {"like": reference, "window": "1d", "by": ["shop"]}
    profiles = [tg.profile(table, **options), tg.profile(str(tmp_path / "*.parquet"), threads=2, **options)]
    parts = [tg.profile(str(tmp_path / f"{i}.parquet"), **options) for i in (3, 1, 0, 2)]
    profiles.append(tg.merge(parts))
    assert len({p.digest for p in profiles}) == 1
    assert tg.load(profiles[0].save(tmp_path / "p.tgp")).digest == profiles[0].digest
    rows = list(tg.compare(reference, profiles[1]).rows)
    for (day,), part in held.partition_by("day", as_dict=True).items():
        start = day.strftime("%Y-%m-%dT00:00:00Z")
        row = of(rows, "duplicate_keys", "key", window_start=start, segment_by=None)
        assert (row["value"], row["exactness"], row["role"]) == (repeated(part), "exact", "id")
        for (shop,), inner in part.partition_by("shop", as_dict=True).items():
            row = of(rows, "duplicate_keys", "key", window_start=start, segment_value=shop)
            assert row["value"] == repeated(inner)
    whole = of(drift(reference, table), "duplicate_keys", "key", segment_by=None)
    assert whole["value"] == repeated(held)
    assert f"{held['key'].null_count()} rows without a key" in whole["message"]


def test_duplicates_of_a_key_of_several_columns_and_beyond_memory() -> None:
    n = 60_000
    first = {"a": np.arange(n) // 300, "b": np.arange(n) % 300, "x": np.arange(n)}
    reference = tg.profile(first, id=["a", "b"])
    row = of(drift(reference, first), "duplicate_keys", "a, b")
    assert (row["value"], row["exactness"]) == (0, "estimated")
    assert row["ci_high"] > 0  # no sample shows that there is none
    twice = {name: np.append(v, v[:6000]) for name, v in first.items()}
    row = of(drift(reference, twice), "duplicate_keys", "a, b")
    assert row["exactness"] == "estimated"
    assert row["ci_low"] < 6000 < row["ci_high"]
    assert abs(row["value"] - 6000) < 0.15 * 6000
    few = {name: v[:5000] for name, v in first.items()}
    again = {name: np.append(v[:5000], v[10:17]) for name, v in first.items()}
    reference = tg.profile(few, id=["a", "b"])
    assert of(drift(reference, again), "duplicate_keys", "a, b")["value"] == 7
    swapped = {"a": again["b"], "b": again["a"], "x": again["x"]}
    assert of(drift(reference, swapped), "duplicate_keys", "a, b")["value"] == 7


def test_freshness_is_that_of_the_instant_of_the_comparison() -> None:
    days = pl.datetime_range(dt.datetime(2024, 1, 1), dt.datetime(2024, 3, 31), "1h", eager=True)
    hours = days.filter(~days.dt.date().is_between(dt.date(2024, 3, 20), dt.date(2024, 3, 22)))
    table = pl.DataFrame({"t": hours, "x": pl.int_range(len(hours), eager=True) % 7})
    reference = tg.profile(table.filter(pl.col("t") < dt.datetime(2024, 2, 1)), time="t", block="1d")
    march = table.filter(pl.col("t").is_between(dt.datetime(2024, 2, 1), dt.datetime(2024, 3, 25, 4)))
    current = tg.profile(march, like=reference, window="1mo")
    day = 86_400.0

    def told(as_of: Any) -> dict[tuple[str, str | None], Any]:
        rows = tg.compare(reference, current, as_of=as_of).rows
        names = ("freshness", "longest_gap", "empty_blocks")
        return {(r["statistic"], r["window_start"][5:7]): r for r in rows if r["statistic"] in names}

    ends = told(None)
    assert ends["freshness", "02"]["value"] == 3600
    # The window is open: with its end for now, its last days look empty.
    assert ends["freshness", "03"]["value"] == (dt.datetime(2024, 4, 1) - dt.datetime(2024, 3, 25, 4)).total_seconds()
    assert ends["empty_blocks", "03"]["value"] == 3 + 6
    assert ends["freshness", "03"]["as_of"] is None
    now = told("2024-03-25T06:00:00")
    assert now["freshness", "02"]["value"] == 3600  # that window has ended
    assert now["freshness", "03"]["value"] == 7200
    assert now["freshness", "03"]["message"] == "the last row is 2.0 h old as of 2024-03-25T06:00:00Z"
    assert now["longest_gap", "03"]["value"] == pytest.approx(3 * day + 3600)
    assert now["empty_blocks", "03"]["value"] == 3
    assert {r["as_of"] for r in now.values()} == {"2024-03-25T06:00:00Z"}
    offset = dt.timezone(dt.timedelta(hours=2))
    assert told(dt.datetime(2024, 3, 25, 8, 0, 0, 999, tzinfo=offset)) == now
    late = told(dt.date(2024, 5, 1))
    assert late["freshness", "03"]["value"] == ends["freshness", "03"]["value"]
    ahead = told("2024-03-25")
    assert (ahead["freshness", "03"]["value"], ahead["freshness", "02"]["value"]) == (-4 * 3600, 3600)
    assert "4.0 h ahead, as of 2024-03-25T00:00:00Z" in ahead["freshness", "03"]["message"]
    whole = tg.profile(march, like=reference)
    found = [r for r in tg.compare(reference, whole, as_of="2024-03-26T04:00:00").rows if r["statistic"] == "freshness"]
    assert [r["value"] for r in found] == [day]
    assert not [r for r in tg.compare(reference, whole).rows if r["statistic"] == "freshness"]
    with pytest.raises(UsageError, match="as_of: 'yesterday' is no date or time; accepted are 2014-01-01"):
        tg.compare(reference, whole, as_of="yesterday")


def test_range_violation_against_the_values_themselves() -> None:
    rng = np.random.default_rng(11)
    inf = math.inf
    pools = [
        [-inf, -1.0, 0.0, -0.0, 1.0, 2.0, inf], [0.0, 5e-324, -5e-324, 1e308, -1e308],
        [float(x) for x in range(40)], list(rng.normal(size=3000)),
    ]  # fmt: skip
    for trial in range(60):
        pool = pools[trial % len(pools)]
        x = [pool[int(i)] for i in rng.integers(0, max(len(pool) - 2, 1), 1 + 40 * (trial % 90))]
        y = [pool[int(i)] for i in rng.integers(0, len(pool), 1 + 35 * (trial % 70))]
        holes = [None, math.nan] * (trial % 3)
        rows = drift(
            {"x": x + holes, "k": [0] * (len(x) + len(holes))}, {"x": y + holes, "k": [0] * (len(y) + len(holes))}
        )
        row = of(list(rows), "range_violation", "x")
        finite = [v for v in x if math.isfinite(v)]
        if not finite:
            continue
        # An infinity that the reference holds is no news, and makes no finite value one.
        outside = sum(not min(finite) <= v <= max(finite) if math.isfinite(v) else v not in x for v in y)
        assert row["bound_low"] - 1e-15 <= outside / len(y) <= row["bound_high"] + 1e-15, (trial, row)
        if row["exactness"] == "exact":
            assert row["value"] == pytest.approx(outside / len(y), abs=1e-15)
            low, high = proportion_confint(outside, len(y), 0.05, "wilson")
            assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_checks_gate_on_any_row() -> None:
    n = 200
    reference = {"x": np.arange(n) % 50, "s": ["a", "b"] * (n // 2)}
    current = {"x": np.arange(n) % 50 + 20, "s": ["a"] * n}
    first = tg.profile(reference)
    second = tg.profile(current, like=first)

    def verdicts(*checks: dict[str, Any]) -> list[str]:
        found = tg.compare(first, second, checks=list(checks)).rows
        return [r["verdict"] for r in found if r["statistic"] == "check"]

    violated = {"feature": "x", "statistic": "range_violation", "max": 0.1}
    assert verdicts(violated) == ["fail"]
    assert verdicts({**violated, "max": 0.5}) == ["ok"]
    assert verdicts({"feature": "s", "statistic": "constant", "max": 0}) == ["fail"]
    assert verdicts({"feature": "*", "statistic": "volume", "min": 0.5, "max": 2}) == ["ok"]
    assert verdicts({"feature": "*", "statistic": "schema", "max": 0}) == ["ok"]
    assert verdicts({"feature": "x", "statistic": "roc_auc", "min": 0.6}) == ["error"]
    same = tg.profile(reference, like=first)
    passed = tg.compare(first, same, checks=[{"feature": "*", "statistic": "volume", "max": 1}])
    failed = tg.compare(first, same, checks=[{"feature": "*", "statistic": "volume", "max": 0.9}])
    assert passed.verdict != "fail"
    assert (failed.verdict, failed.exit_code()) == ("fail", 1)
    (finding,) = (r for r in failed.failed if r["feature"] == "*")
    assert finding["message"] == "volume is 1: above the maximum of 0.9"
    assert of(failed.rows, "share_drifted", "*")["value"] == 0
    with pytest.raises(UsageError, match="there is no such statistic"):
        verdicts({"feature": "x", "statistic": "kolmogorov", "max": 1})
    with pytest.raises(UsageError, match="at least one of them"):
        verdicts({"feature": "x", "statistic": "ks"})


def test_a_chosen_statistic_decides_in_segments_too() -> None:
    table = pa.table({"x": np.arange(400) % 31 * 1.0, "s": ["a", "b"] * 200})
    reference = tg.profile(table, by=["s"])
    report = tg.compare(reference, tg.profile(table, like=reference, by=["s"]), statistics={"x": "wasserstein"},
                        tolerances={"x": {"warn": 1.0, "fail": 2.0}})  # fmt: skip
    for segment in ("a", "b", None):
        row = of(list(report.rows), "wasserstein", "x", segment_value=segment)
        assert row["decides"]
        assert row["value"] == 0


def test_segments_of_crossed_columns_stay_apart() -> None:
    pairs = [("a, b", "c"), ("a", "b, c"), ("a\\", "b"), ("a", "\\b"), (None, "c"), ("(missing)", "c")]
    table = pa.table({"p": [p for p, _ in pairs] * 30, "q": [q for _, q in pairs] * 30, "x": list(range(180))})
    made = tg.profile(table, by=[("p", "q")])
    segments = [g for g in made.info["groups"] if g["segment_by"] == "p, q"]
    assert len({g["segment_value"] for g in segments}) == len(pairs)
    assert all(g["rows"] == 30 for g in segments)
    assert pc.sum(pa.array([g["rows"] for g in segments])).as_py() == 180
