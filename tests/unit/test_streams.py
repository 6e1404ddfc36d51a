"""Sources that are streamed: same profile, bounded memory, nothing left behind."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import tidegauge as tg
from tidegauge import _profile
from tidegauge.errors import InputError

ROWS = 700_000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """More rows than one part of a stream, with every layout that a temporary file must keep."""
    rng = np.random.default_rng(11)
    words = pa.array(rng.choice(["oslo", "rome", "a name that is longer than twelve bytes"], ROWS))
    return pa.table(
        {
            "x": pa.array(np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS)), from_pandas=True),
            "n": rng.integers(0, 9, ROWS).astype("int16"),
            "word": words,
            "view": words.cast(pa.string_view()),
            "coded": words.dictionary_encode(),
        }
    )


def once(table: pa.Table, rows: int = 50_000) -> pa.RecordBatchReader:
    """A stream that comes once, from a generator."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table.to_batches(max_chunksize=rows):
            # A dictionary of its own in each batch, as producers of log files have it.
            coded = batch.column("coded").cast(pa.string()).dictionary_encode()
            yield batch.set_column(4, "coded", coded)

    return pa.RecordBatchReader.from_batches(table.schema, batches())


@pytest.mark.parametrize("hold", [0, 10_000_000, 1 << 40])
def test_a_stream_that_comes_once(table: pa.Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hold: int) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(_profile, "_HOLD", hold)
    reference = tg.profile(table)
    assert tg.profile(once(table)).digest == reference.digest
    # Against a reference there is one pass, and nothing is kept at all.
    assert tg.profile(once(table), like=reference).digest == tg.profile(table, like=reference).digest
    assert tg.profile(once(table), by=["word"]).digest == tg.profile(table, by=["word"]).digest
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_temporary_files_that_does_not_exist(
    table: pa.Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr(_profile, "_HOLD", 0)
    with pytest.raises(InputError, match="temporary file"):
        tg.profile(once(table))


def test_a_stream_that_breaks(table: pa.Table) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield table.to_batches()[0]
        raise RuntimeError("the producer went away")

    for like in (None, tg.profile(table)):
        with pytest.raises(InputError, match="the producer went away"):
            tg.profile(pa.RecordBatchReader.from_batches(table.schema, broken()), like=like)


@pytest.mark.parametrize("options", [{}, {"by": ["word"]}, {"where": "n > 3"}])
def test_a_lazy_frame_is_opened_for_every_pass(table: pa.Table, options: dict[str, object]) -> None:
    frame = pl.DataFrame(pl.from_arrow(table))
    held = frame.filter(pl.col("n") > 3) if "where" in options else frame
    expected = tg.profile(held, by=["word"] if "by" in options else None)
    assert tg.profile(frame.lazy(), **options).digest == expected.digest  # type: ignore[arg-type]


def test_a_source_that_changes_between_passes() -> None:
    calls = iter(range(9))

    def shrinking(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.head(10 - next(calls))

    lazy = pl.LazyFrame({"x": [float(i) for i in range(10)]}).map_batches(shrinking)
    with pytest.raises(InputError, match=r"10 rows when first read, then 9"):
        tg.profile(lazy)


PEAK = """
import sys, tidegauge as tg, polars
def rss(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024
before = rss("VmRSS")
print(tg.profile(sys.argv[1]).rows, rss("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak")
def test_memory_does_not_follow_the_length_of_a_csv(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    block = pl.DataFrame({f"x{i}": rng.normal(size=20_000).round(6) for i in range(6)}).write_csv(include_header=False)
    peaks, sizes = [], []
    for blocks in (60, 180):
        path = tmp_path / f"{blocks}.csv"
        with path.open("w") as file:
            file.write("a,b,c,d,e,f\n")
            file.writelines(block for _ in range(blocks))
        sizes.append(path.stat().st_size)
        done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == 20_000 * blocks
        peaks.append(peak)
    told = [
        f"{peak / 1e6:.0f} MB above the start for {size / 1e6:.0f} MB" for peak, size in zip(peaks, sizes, strict=True)
    ]
    print(told)
    # Chunks in flight are the reader's affair and vary from run to run; what was read may not pile up.
    assert peaks[1] - peaks[0] < 0.4 * (sizes[1] - sizes[0]), told
    assert peaks[1] < 0.8 * sizes[1], told
