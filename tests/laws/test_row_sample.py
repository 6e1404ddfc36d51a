"""A row sample is a function of the rows: order, split, threads, files and encodings change no byte."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.errors import SchemaError, UsageError

RNG = np.random.default_rng(41)
N = 6000


def table() -> pl.DataFrame:
    x = RNG.normal(size=N).round(2)
    x[::50] = np.nan
    x[1::50] = 0.0
    return pl.DataFrame(
        {
            "id": RNG.permutation(N),
            "x": x,
            "word": pl.Series(RNG.choice(["a", "b", "c"], N)).set(pl.Series(RNG.random(N) < 0.1), None),
            "day": np.datetime64("2024-01-01", "D") + RNG.integers(0, 20, N),
            "flag": RNG.random(N) < 0.5,
        }
    )


TABLE = table()


def written(sample: tg.RowSample, folder: Path) -> bytes:
    path = folder / "sample.parquet"
    sample.write(path)
    return path.read_bytes()


@pytest.mark.parametrize("row_key", [["id"], ["id", "day"], []])
def test_equal_bytes(row_key: list[str], tmp_path: Path) -> None:
    drop = [] if row_key else ["id"]
    right = written(tg.row_sample(TABLE, k=100, row_key=row_key, exclude=drop), tmp_path)
    shuffled = TABLE.sample(fraction=1.0, shuffle=True, seed=3)
    one = tmp_path / "one.parquet"
    TABLE.write_parquet(one, row_group_size=700)
    many = tmp_path / "many"
    many.mkdir()
    for i in range(7):
        shuffled[i * 900 : (i + 1) * 900].write_parquet(many / f"{i}.parquet", row_group_size=250)
    text = tmp_path / "text.csv"
    shuffled.write_csv(text)
    arrow = shuffled.to_arrow()
    encoded = arrow.set_column(2, "word", arrow["word"].dictionary_encode())
    pq.write_table(encoded, tmp_path / "encoded.parquet", row_group_size=911)
    sources = {
        "shuffled": shuffled,
        "columns in another order": TABLE.select(reversed(TABLE.columns)),
        "a negative zero": TABLE.with_columns(x=pl.when(pl.col("x") == 0).then(-0.0).otherwise("x")),
        "one file": one,
        "seven files": str(many / "*.parquet"),
        "encoded": tmp_path / "encoded.parquet",
        "lazy": pl.scan_parquet(one).filter(pl.col("id") >= 0),
        "arrow": pa.Table.from_batches(shuffled.to_arrow().to_batches(max_chunksize=333)),
        "text": pl.scan_csv(text, try_parse_dates=True),
    }
    for name, source in sources.items():
        for threads in (1, 3):
            found = tg.row_sample(source, k=100, row_key=row_key, exclude=drop, threads=threads)
            assert found.rows == N
            assert written(found, tmp_path) == right, (name, threads)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), None]), min_size=1, max_size=60),
    seed=st.integers(0, 3),
    k=st.integers(1, 6),
)
def test_multiplicities_are_exact(values: list[float | None], seed: int, k: int) -> None:
    def known(v: float | None) -> str:
        return "null" if v is None else "nan" if v != v else str(v + 0.0)

    found = tg.row_sample({"x": pl.Series(values, dtype=pl.Float64)}, k=k, random_state=seed)
    names = [known(v) for v in values]
    assert len(found) == min(k, len(set(names)))
    for value, count in found.to_polars().iter_rows():
        assert names.count(known(value)) == count
    assert found.to_polars(repeat=True).height == found.to_polars()["multiplicity"].sum()


def test_a_key_draws_the_same_rows_of_two_tables() -> None:
    """Widths and decimals do not matter: 5, 5.0 and 5.00 are one key."""
    other = TABLE.with_columns(pl.col("id").cast(pl.Float64), pl.col("x") + 1)
    exact = TABLE.with_columns(pl.col("id").cast(pl.Decimal(20, 2)))
    first, second, third = (tg.row_sample(t, k=50, row_key="id").to_polars() for t in (TABLE, other, exact))
    assert first["id"].to_list() == second["id"].to_list() == [int(v) for v in third["id"].to_list()]
    assert tg.row_sample(TABLE, k=50, row_key="id", random_state=1).to_polars()["id"].to_list() != first["id"].to_list()


def test_rows_are_drawn_alike() -> None:
    """Over 300 keys each of 100 rows is among the 20 as often: chi-square of their counts."""
    counts = np.zeros(100)
    for seed in range(300):
        counts[tg.row_sample({"id": np.arange(100)}, k=20, row_key="id", random_state=seed).to_polars()["id"]] += 1
    assert ((counts - 60) ** 2 / (300 * 0.2 * 0.8)).sum() < 150


def test_joint_statistics_take_samples() -> None:
    first, second = (tg.row_sample(TABLE, k=200, exclude="id", random_state=seed) for seed in (0, 1))
    p = tg.stats.mmd(first, second).pvalue
    assert p is not None
    assert p > 0.01
    assert p == tg.stats.mmd(first.to_polars(repeat=True), second.to_polars(repeat=True)).pvalue


def test_what_is_refused() -> None:
    with pytest.raises(SchemaError, match='column "nothing" is not in the data; it has day, flag, id'):
        tg.row_sample(TABLE, row_key="nothing")
    with pytest.raises(UsageError, match="column 'z' is not in the data"):
        tg.row_sample(TABLE, columns=["z"])
    with pytest.raises(UsageError, match="k is 0"):
        tg.row_sample(TABLE, k=0)
    with pytest.raises(UsageError, match="'multiplicity' exists"):
        tg.row_sample({"multiplicity": [1]})
    nested = pa.table({"a": [1], "v": [[1.0]]})
    with pytest.raises(SchemaError, match=r"column \"v\".*leave it out with exclude"):
        tg.row_sample(nested)
    assert tg.row_sample(nested, exclude="v").to_polars().columns == ["a", "multiplicity"]
    assert "id" not in tg.row_sample(TABLE, k=5, columns=["x", "word"]).to_polars().columns
