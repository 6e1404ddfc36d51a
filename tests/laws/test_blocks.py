"""Counts by block obey the laws: any partition, order, batch size and way in gives the same bytes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from columns import table
from engine import info, profile, profile_files, rows
from tidegauge import _core

BLOCKS = [
    {"roles": {"ts": "time"}},
    {"roles": {"ts": "time"}, "block": "6h", "time_zone": "America/New_York"},
    {"roles": {"ts": "time"}, "block": "customer"},
    {"roles": {"ts": "time"}, "block": "1d", "window": "1w", "by": ["strings"]},
]


def log(n: int, seed: int = 0, missing: bool = True) -> pa.Table:
    """Every kind of column, 40 days of instants in no order, some of them missing, and a customer."""
    rng = np.random.default_rng(seed)
    seconds = 1_700_000_000 + rng.integers(0, 40 * 86_400, n)
    ts = pa.array(seconds * 1_000_000, pa.int64(), mask=rng.random(n) < (0.05 if missing else 0))
    customer = pa.array(rng.integers(0, 30, n), pa.int32(), mask=rng.random(n) < 0.1)
    return table(n).append_column("ts", ts.cast(pa.timestamp("us", "UTC"))).append_column("customer", customer)


@pytest.mark.parametrize("options", BLOCKS, ids=str)
def test_every_way_to_count_a_log_by_block_gives_the_same_bytes(options: dict[str, object], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = log(600)
    reference = profile(data, **options)
    expected = profile(data, reference, **options).digest
    assert profile(data.take(rng.permutation(len(data))), **options).digest == reference.digest
    for batch, threads in ((1, 1), (3, 2), (64, 2)):
        again = profile(data, reference, batch_rows=batch, threads=threads, **options)
        assert again.digest == expected, (batch, threads)
    paths = [tmp_path / f"{i}.parquet" for i in range(7)]
    part = rng.integers(0, 7, len(data))
    for i, path in enumerate(paths):
        rows_of = data.take(np.flatnonzero(part == i))
        pq.write_table(rows_of, path, row_group_size=50, use_dictionary=bool(i % 2), data_page_size=300)
    assert profile_files(paths, reference, **options).digest == expected
    parts = [profile_files([path], reference, **options) for path in paths]
    assert parts[0].merge(parts[1:]).digest == expected
    loaded = _core.Profile.from_bytes(reference.to_bytes())
    assert loaded.digest == reference.digest
    assert rows(loaded, loaded) == rows(reference, reference)


@pytest.mark.parametrize("cut", [{}, {"window": "1w"}, {"by": ["region"]}], ids=str)
def test_a_log_in_the_order_of_time_is_the_same_log(cut: dict[str, object], tmp_path: Path) -> None:
    """Rows taken as they come, run by run, and rows put in order first are counted alike."""
    rng = np.random.default_rng(3)
    data = log(30_000, missing=False)
    data = data.append_column("region", pa.array(np.repeat(["north", "south", "west"], 10_000)))
    ordered = data.sort_by([("region", "ascending"), ("ts", "ascending")])
    options = {"roles": {"ts": "time"}, "block": "1d", **cut}
    reference = profile(ordered, **options)
    shuffled = data.take(rng.permutation(len(data)))
    assert profile(shuffled, **options).digest == reference.digest
    expected = profile(shuffled, reference, **options).digest
    for name, dictionary, version in (("a", True, "1.0"), ("b", False, "2.0")):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(
            ordered,
            path,
            row_group_size=11_000,
            use_dictionary=dictionary,
            data_page_version=version,
            data_page_size=5_000,
        )
        assert profile_files([path], reference, **options).digest == expected
        assert profile_files([path], reference, threads=1, batch_rows=700, **options).digest == expected


def test_blocks_are_kept_where_there_are_enough_of_them() -> None:
    few, many = log(100).slice(0, 12), log(300)
    roles = {"ts": "time"}
    variances = {r["variance"] for r in rows(profile(many, roles=roles), profile(many, roles=roles))} - {None}
    assert "block:1d" in variances
    short = profile(few, roles=roles)
    assert {r["variance"] for r in rows(short, short)} - {None} == {"iid"}
    none = profile(many, roles=roles, block="none")
    assert {r["variance"] for r in rows(none, none)} - {None} == {"iid"}
    with pytest.raises(_core.UsageError, match=r"fortnight.*1d.*name of a column.*none"):
        profile(many, roles=roles, block="fortnight")


def test_a_current_table_without_the_column_of_the_blocks_says_so() -> None:
    data = log(300)
    reference = profile(data, roles={"ts": "time"})
    current = profile(data.drop_columns(["ts"]), reference)
    assert any("rows are taken as independent" in p["message"] for p in info(current)["problems"])
    assert {r["variance"] for r in rows(reference, current)} - {None} == {"iid"}
