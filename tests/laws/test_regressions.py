"""Cases that once failed: each is a mistake that the engine must not make again."""

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import column, compare, info, profile, profile_files, row, rows, statistic
from tidegauge import _core


def test_decimals_beyond_64_bits_in_a_dictionary(tmp_path: Path) -> None:
    x = pa.table({"x": pa.array([Decimal(10) ** 30, Decimal("0.5"), Decimal("0.5")], pa.decimal128(38, 2))})
    pq.write_table(x, tmp_path / "x.parquet")
    assert profile_files([tmp_path / "x.parquet"]).digest == profile(x).digest


@pytest.mark.parametrize("special", [math.nan, math.inf])
@pytest.mark.parametrize("reference", [pa.array([1, 2, 3]), pa.array([Decimal("1.00"), Decimal("2.50")])])
def test_special_floats_in_a_dictionary_against_integers(tmp_path: Path, reference: pa.Array, special: float) -> None:
    first, x = profile(pa.table({"x": reference})), pa.table({"x": [1.0, special, 2.0]})
    pq.write_table(x, tmp_path / "x.parquet")
    assert profile_files([tmp_path / "x.parquet"], first).digest == profile(x, first).digest


@pytest.mark.parametrize("options", [{"window": "1d"}, {"model_version": "v"}])
def test_a_part_without_rows_is_the_identity(options: dict[str, object]) -> None:
    x = pa.table({"ts": pa.array([0, 10**12], pa.timestamp("us")), "v": ["a", "b"], "x": [1.0, 2.0]})
    reference = profile(x, source_id="1", **options)
    nothing = profile(x.slice(0, 0), reference, source_id="2", **options)
    assert reference.merge([nothing]).digest == reference.digest
    assert nothing.merge([reference]).digest == reference.digest


# laws/test_merging.py: add "cancelling" to test_moments_are_exact_sums_rounded_once, and
def test_a_mean_whose_sum_overflows() -> None:
    assert column(profile(pa.table({"x": [1e308, 1e308]})))["mean"] == 1e308
    assert statistic("mean_shift", [1e308, 1e308], [1e308, 5e307])["statistic"] == pytest.approx(-2.5e307)


# scoreboard 22, 17
def test_a_constant_that_moved_is_seen_by_the_divergences() -> None:
    moved = compare(pa.table({"x": np.full(1000, 7.5)}), pa.table({"x": np.full(1000, 99.0)}))
    assert row(moved, "psi")["value"] > 5
    assert row(moved, "total_variation")["value"] == row(moved, "l_infinity")["value"] == 1


def repaired(data: bytes) -> bytes:
    return data[:-32] + bytes.fromhex(_core.blake3(data[:-32]).removeprefix("b3:"))


# format: 1,024 hash cells become 128; loads, then `info_json` raises IncompatibleError
def test_another_number_of_hash_cells_is_refused() -> None:
    data = profile(pa.table({"x": ["a", "b", None, "a"]}), source_id="s").to_bytes()
    at = data.index(b"\x01a\x80\x08") + 3
    with pytest.raises(_core.FormatError):
        _core.Profile.from_bytes(repaired(data[:at] + b"\x01" + data[at + 1 :]))


# format: every one-byte change of a small numeric profile, compared: must not panic (see quantile_shift::place)
def test_comparing_a_changed_profile_never_panics() -> None:
    data = profile(pa.table({"x": [1.5, math.nan, None, -2.0]}), source_id="s").to_bytes()
    end = 24 + int.from_bytes(data[8:16], "little")
    for at in range(24, end):
        for value in range(256):
            try:
                loaded = _core.Profile.from_bytes(repaired(data[:at] + bytes([value]) + data[at + 1 :]))
                info(loaded)
                rows(loaded, loaded)
            except _core.TidegaugeError:
                pass
