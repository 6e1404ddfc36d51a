"""Merging is associative and commutative: every partition and merge tree ends at the same bytes."""

import json
import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from columns import COLUMNS, table
from engine import column, info, profile
from tidegauge import _core

TREES = 540  # per column, so 10,260 partitions in all, each with a merge tree of its own
ROWS = 60


def split(rows: pa.Table, rng: np.random.Generator) -> list[pa.Table]:
    """Disjoint parts, some of them empty, that hold every row once."""
    part = rng.integers(0, rng.integers(1, 9), len(rows))
    return [rows.take(pa.array(np.flatnonzero(part == i))) for i in range(part.max() + 2)]


def merged(parts: list[_core.Profile], rng: np.random.Generator) -> _core.Profile:
    """Some of the parts into another one, until one is left."""
    parts = list(parts)
    while len(parts) > 1:
        rng.shuffle(parts)  # type: ignore[arg-type]
        some = int(rng.integers(1, min(len(parts), 4)))
        taken = [parts.pop() for _ in range(some)]
        parts[0] = parts[0].merge(taken)
    return parts[0]


@pytest.mark.parametrize("name", COLUMNS)
def test_partitions_and_trees(name: str) -> None:
    rng = np.random.default_rng(len(name))
    rows = pa.table({"x": COLUMNS[name](ROWS)})
    reference = profile(pa.table({"x": COLUMNS[name](300)}))
    expected = profile(rows, reference).digest
    for _ in range(TREES):
        parts = [
            profile(part, reference, source_id=str(i), batch_rows=int(rng.integers(1, 5)), threads=1)
            for i, part in enumerate(split(rows, rng))
        ]
        result = merged(parts, rng)
        assert result.digest == expected
        assert result.rows == ROWS


def test_all_columns_with_windows_and_segments() -> None:
    rng = np.random.default_rng(0)
    rows = table(400)
    options = {"roles": {"local_times": "time"}, "window": "1w", "by": ["strings", ["booleans", "small_integers"]]}
    reference = profile(rows, **options)
    expected = profile(rows, reference, **options)
    assert len(info(expected)["groups"]) > 3
    for _ in range(20):
        filled = [part for part in split(rows, rng) if len(part)]
        parts = [profile(p, reference, source_id=str(i), **options) for i, p in enumerate(filled)]
        assert merged(parts, rng).digest == expected.digest


def test_beyond_the_exact_keys() -> None:
    """More distinct values than the key histogram holds: its level depends on the values alone."""
    rng = np.random.default_rng(2)
    rows = pa.table({"x": rng.standard_cauchy(30_000), "s": [f"{i}" for i in rng.zipf(1.2, 30_000)]})
    reference = profile(rows.slice(0, 15_000))
    expected = profile(rows, reference)
    for _ in range(10):
        parts = [profile(p, reference, source_id=str(i)) for i, p in enumerate(split(rows, rng))]
        assert merged(parts, rng).digest == expected.digest


def test_a_saved_part_merges_like_a_fresh_one() -> None:
    rows = table(100)
    reference = profile(rows)
    first, second = (profile(rows.slice(at, 50), reference, source_id=str(at)) for at in (0, 50))
    loaded = _core.Profile.from_bytes(first.to_bytes())
    assert loaded.merge([second]).digest == first.merge([second]).digest == profile(rows, reference).digest


def test_overlapping_coverage_is_refused() -> None:
    rows = table(50)
    reference = profile(rows, source_id="day 1")
    again = profile(rows, reference, source_id="day 1")
    with pytest.raises(_core.OverlapError, match="counted twice"):
        reference.merge([again])
    merged = reference.merge([profile(rows, reference, source_id="day 2")])
    with pytest.raises(_core.OverlapError):
        merged.merge([profile(rows, reference, source_id="day 2")])
    assert merged.rows == 100


def test_other_references_do_not_merge() -> None:
    one, other = (profile(pa.table({"x": [a, 2.0, 3.0]}), source_id=str(a)) for a in (1.0, 1.5))
    with pytest.raises(_core.IncompatibleError, match="one reference"):
        one.merge([other])


@pytest.mark.parametrize("name", ["offset", "heavy_tails", "scores", "huge_integers", "unsigned"])
def test_moments_are_exact_sums_rounded_once(name: str) -> None:
    """Mean and variance against rational arithmetic on all values."""
    values = COLUMNS[name](500)
    found = column(profile(pa.table({"x": values})))
    numbers = [Fraction(v) for v in values.to_pylist() if v is not None]
    mean = sum(numbers, Fraction()) / len(numbers)
    assert found["mean"] == pytest.approx(float(mean), rel=4 * np.finfo(float).eps)  # 4 ulp, DESIGN law 1
    variance = sum((v - mean) ** 2 for v in numbers) / (len(numbers) - 1)
    if variance < Fraction(np.finfo(float).max):
        assert found["variance"] == pytest.approx(float(variance), rel=1e-12)
    else:
        assert found["variance"] is None or math.isinf(found["variance"])


def test_counts_of_special_values() -> None:
    found = column(profile(pa.table({"x": [None, math.nan, math.nan, math.inf, -math.inf, -0.0, 0.0, -2.0, 5e-324]})))
    names = ("rows", "nulls", "nan", "pos_inf", "neg_inf", "zeros", "negatives", "min", "max")
    assert [found[n] for n in names] == [9, 1, 2, 1, 1, 2, 1, -2.0, 5e-324]


def test_invalid_text_is_counted_and_kept() -> None:
    offsets, data = np.array([0, 1, 3, 3], np.int32), b"\xffok"
    text = pa.Array.from_buffers(pa.utf8(), 3, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    found = column(profile(pa.table({"x": text})))
    assert (found["invalid_utf8"], found["zeros"], found["distinct"]) == (1, 1, 3)


def test_json_of_a_profile_is_valid() -> None:
    assert json.loads(profile(table(10)).info_json())["rows"] == 10
