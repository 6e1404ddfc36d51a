"""The same logical rows give the same digest whichever way Parquet or Arrow stores them."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from columns import table
from engine import column, info, profile, profile_files

ROWS = 1200

FLOATS = ["special_floats", "cancelling", "offset", "heavy_tails", "point_masses", "scores", "single", "all_null"]
INTEGERS = ["huge_integers", "small_integers", "unsigned", "dates", "instants", "local_times"]
TEXTS = ["strings", "invalid_text"]

ENCODINGS = {
    "PLAIN": [*FLOATS, *INTEGERS, *TEXTS, "decimals", "booleans"],
    "DELTA_BINARY_PACKED": INTEGERS,
    "DELTA_LENGTH_BYTE_ARRAY": TEXTS,
    "DELTA_BYTE_ARRAY": [*TEXTS, "decimals", "wide_decimals"],
    "BYTE_STREAM_SPLIT": [*FLOATS, *INTEGERS, "decimals", "wide_decimals"],
    "RLE": ["booleans"],
}
CODECS = ["none", "snappy", "zstd", "lz4", "gzip", "brotli"]


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return table(ROWS).drop_columns(["wide_decimals"])


@pytest.fixture(scope="module")
def digest(rows: pa.Table) -> str:
    return profile(rows).digest


def written(rows: pa.Table, path: Path, **options: object) -> Path:
    pq.write_table(rows, path, row_group_size=500, data_page_size=512, **options)
    return path


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(tmp_path: Path, encoding: str, version: str) -> None:
    some = table(ROWS).select(ENCODINGS[encoding])
    path = written(
        some,
        tmp_path / "x.parquet",
        use_dictionary=False,
        column_encoding=dict.fromkeys(some.column_names, encoding),
        data_page_version=version,
    )
    for i in range(some.num_columns):
        assert encoding in pq.read_metadata(path).row_group(0).column(i).encodings
    assert profile_files([path]).digest == profile(some).digest


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dictionary", [True, False], ids=["dictionary", "plain"])
def test_codecs(rows: pa.Table, digest: str, tmp_path: Path, codec: str, version: str, dictionary: bool) -> None:
    path = written(
        rows, tmp_path / "x.parquet", compression=codec, data_page_version=version, use_dictionary=dictionary
    )
    assert profile_files([path]).digest == digest


def test_dictionary_that_overflows_into_plain_pages(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = pa.table({"x": rng.normal(size=4000), "s": [f"value {i}" for i in rng.integers(0, 3000, 4000)]})
    path = written(rows, tmp_path / "x.parquet", dictionary_pagesize_limit=2048)
    assert profile_files([path]).digest == profile(rows).digest


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_rows", [1, 2, 3, 4, None])
def test_threads_and_batches(rows: pa.Table, digest: str, tmp_path: Path, threads: int, batch_rows: int | None) -> None:
    options = {"threads": threads} | ({} if batch_rows is None else {"batch_rows": batch_rows})
    path = written(rows, tmp_path / "x.parquet")
    assert profile_files([path], **options).digest == digest
    assert profile(rows, **options).digest == digest


def test_one_file_forty_files_and_a_shuffled_frame(rows: pa.Table, tmp_path: Path) -> None:
    whole = profile_files([written(rows, tmp_path / "whole.parquet")])
    cuts = np.linspace(0, ROWS, 41).astype(int)
    parts = [written(rows.slice(a, b - a), tmp_path / f"{a}.parquet") for a, b in itertools.pairwise(cuts)]
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    for other in (profile_files(parts), profile_files(parts[::-1], threads=1), profile(shuffled)):
        assert other.digest == whole.digest
        for a, b in zip(info(whole)["columns"], info(other)["columns"], strict=True):
            assert a["grid_id"] == b["grid_id"], a["name"]


def log(n: int, seed: int) -> pa.Table:
    """A prediction log with more cities than there are segments."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "ts": pa.array(rng.integers(0, 40 * 86_400, n) * 10**6, pa.timestamp("us", tz="UTC")),
            "version": pa.array(["v1", "v2", None]).take(pa.array(rng.integers(0, 3, n))),
            "city": [f"city {i}" for i in rng.zipf(1.3, n) % 2000],
            "tier": rng.integers(0, 4, n),
            "x": np.where(rng.random(n) < 0.1, np.nan, rng.standard_cauchy(n)),
            "user": [f"user {i}" for i in rng.integers(seed * 1000, seed * 1000 + 3000, n)],
        }
    )


@pytest.mark.parametrize(
    "options",
    [
        {"window": "1d"},
        {"window": "1mo", "time_zone": "America/New_York"},
        {"by": ["city", ["tier", "version"]]},
        {"window": "1w", "by": ["city"], "model_version": "version"},
        {"categorical": ["tier", "x"]},
    ],
    ids=["days", "local months", "cuts", "weeks, versions and cuts", "categorical"],
)
def test_groups(tmp_path: Path, options: dict[str, object]) -> None:
    reference = None
    for seed in (1, 2):
        rows = log(3000, seed)
        expected = profile(rows, reference, **options)
        assert expected.rows == len(rows)
        whole = written(rows, tmp_path / "whole.parquet")
        parts = [written(rows.slice(at, 75), tmp_path / f"{at}.parquet") for at in range(0, len(rows), 75)]
        shuffled = rows.take(pa.array(np.random.default_rng(seed).permutation(len(rows))))
        for other in (
            profile_files([whole], reference, **options),
            profile_files(parts[::-1], reference, threads=1, **options),
            profile_files(parts, reference, threads=2, **options),
            profile(shuffled, reference, batch_rows=3, **options),
        ):
            assert other.digest == expected.digest
        reference = expected


@pytest.mark.parametrize("kind", ["int8", "int32", "large_string", "string_view", "plain"])
def test_physical_types_do_not_matter(kind: str) -> None:
    words = pa.array(["b", None, "a", "b", "c", ""] * 20)
    other = {
        "int8": lambda: words.dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
        "int32": words.dictionary_encode,
        "large_string": lambda: words.cast(pa.large_string()),
        "string_view": lambda: words.cast(pa.string_view()),
        "plain": lambda: pa.chunked_array([words.slice(0, 7), words.slice(7)]),
    }[kind]()
    assert profile(pa.table({"x": other})).digest == profile(pa.table({"x": words})).digest


def test_a_dictionary_with_values_that_no_row_holds() -> None:
    padded = pa.DictionaryArray.from_arrays(pa.array([1, 1, 3], pa.int8()), pa.array(["never", "a", "never too", "b"]))
    assert profile(pa.table({"x": padded})).digest == profile(pa.table({"x": ["a", "a", "b"]})).digest


@pytest.mark.parametrize("narrow", [pa.int8(), pa.int16(), pa.int32()])
def test_widths_of_integers(narrow: pa.DataType) -> None:
    values = pa.array([-3, 0, None, 100, 7] * 30, pa.int64())
    assert profile(pa.table({"x": values.cast(narrow)})).digest == profile(pa.table({"x": values})).digest


def test_single_precision_values_in_both_widths(tmp_path: Path) -> None:
    single = pa.array(np.random.default_rng(5).normal(20, 8, 5000).astype(np.float32))
    narrow, wide = pa.table({"x": single}), pa.table({"x": single.cast(pa.float64())})
    assert profile(narrow).digest == profile(wide).digest
    reference = profile(pa.table({"x": np.random.default_rng(6).normal(20, 8, 5000)}))
    assert profile(narrow, reference).digest == profile(wide, reference).digest
    path = written(narrow, tmp_path / "x.parquet")
    assert profile_files([path], reference).digest == profile(wide, reference).digest


def test_minus_zero_is_zero() -> None:
    assert profile(pa.table({"x": [0.0, -0.0, 1.0]})).digest == profile(pa.table({"x": [0.0, 0.0, 1.0]})).digest


def test_a_zone_is_for_display() -> None:
    here = pa.array(range(0, 10**9, 10**6), pa.timestamp("us", tz="Asia/Kathmandu"))
    there = here.cast(pa.timestamp("us", tz="UTC"))
    assert profile(pa.table({"x": here})).digest == profile(pa.table({"x": there})).digest


def test_no_rows(rows: pa.Table, tmp_path: Path) -> None:
    nothing = rows.slice(0, 0)
    empty = profile(nothing)
    assert empty.rows == 0
    assert profile_files([written(nothing, tmp_path / "x.parquet")]).digest == empty.digest


def test_many_categories(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    numbers = np.concatenate([np.arange(200_000), rng.zipf(1.3, 100_000) % 200_000])
    rows = pa.table({"x": pa.array([f"user {i}" for i in numbers])})
    whole = profile(rows)
    shuffled = rows.take(pa.array(rng.permutation(len(rows))))
    path = tmp_path / "x.parquet"
    pq.write_table(shuffled, path, row_group_size=70_000)
    assert profile_files([path]).digest == whole.digest
    assert profile(shuffled, batch_rows=1000).digest == whole.digest
    assert column(whole)["distinct"] == pytest.approx(200_000, rel=0.15)  # bottom-k of 1,024: 3 % standard error
