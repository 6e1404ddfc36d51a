"""Weights obey the laws: any partition, order, batch size and way in gives the same bytes."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from columns import table
from engine import info, profile, profile_files, rows
from tidegauge import _core
from tidegauge.errors import IncompatibleError, UsageError

KINDS = {"weight": "w", "frequency": "n"}


def weighed(n: int, seed: int = 0) -> pa.Table:
    """Every kind of column, 40 days of instants, weights of all magnitudes and frequencies, some unusable."""
    rng = np.random.default_rng(seed)
    w = rng.lognormal(0, 1.5, n)
    w[:8] = [0.0, -1.0, np.nan, np.inf, 1e300, 5e-324, 3.0, -0.0]
    frequency = rng.integers(0, 5, n)
    frequency[10:12] = -2
    seconds = 1_700_000_000 + rng.integers(0, 40 * 86_400, n)
    ts = pa.array(seconds * 1_000_000, pa.int64()).cast(pa.timestamp("us", "UTC"))
    data = table(n).append_column("ts", ts)
    data = data.append_column("w", pa.array(w, mask=(rng.random(n) < 0.02) & (np.arange(n) >= 8)))
    return data.append_column("n", pa.array(frequency, pa.int32()))


def options_of(kind: str, **more: object) -> dict[str, object]:
    other = next(k for k in KINDS if k != kind)
    return {"roles": {KINDS[kind]: kind, "ts": "time"}, "exclude": [KINDS[other]], **more}


CUTS = [
    {"block": "none"},
    {"block": "1d"},
    {"block": "none", "window": "1w", "by": ["strings"]},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_every_way_to_count_weighed_rows_gives_the_same_bytes(
    kind: str, cut: dict[str, object], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    data = weighed(500)
    options = options_of(kind, **cut)
    reference = profile(data, **options)
    expected = profile(data, reference, **options).digest
    assert profile(data.take(rng.permutation(len(data))), **options).digest == reference.digest
    for batch, threads in ((1, 1), (2, 3), (4, 2), (64, 2)):
        again = profile(data, reference, batch_rows=batch, threads=threads, **options)
        assert again.digest == expected, (batch, threads)
    paths = [tmp_path / f"{i}.parquet" for i in range(5)]
    part = rng.integers(0, 5, len(data))
    for i, path in enumerate(paths):
        rows_of = data.take(np.flatnonzero(part == i))
        pq.write_table(rows_of, path, row_group_size=50, use_dictionary=bool(i % 2), data_page_size=300)
    assert profile_files(paths, reference, **options).digest == expected
    assert profile_files(paths, **options).digest == reference.digest
    parts = [profile_files([path], reference, **options) for path in paths]
    assert parts[0].merge(parts[1:]).digest == expected
    loaded = _core.Profile.from_bytes(reference.to_bytes())
    assert loaded.digest == reference.digest
    assert rows(loaded, loaded) == rows(reference, reference)


def test_frequencies_are_rows() -> None:
    data = weighed(400)
    counts = np.clip(data["n"].to_numpy(), 0, None)
    repeated = data.take(np.repeat(np.arange(len(data)), counts)).drop_columns(["n", "w"])
    for cut in ({}, {"window": "1w", "by": ["strings"]}, {"block": "none"}):
        roles = {"ts": "time"}
        by_frequency = profile(data, **options_of("frequency", **cut))
        assert by_frequency.digest == profile(repeated, roles=roles, **cut).digest
    assert info(by_frequency)["rows"] == counts.sum()


def drifted(frames: list[pl.DataFrame], **options: str) -> list[dict[str, object]]:
    """Rows of a report without what names the run."""
    return [{k: v for k, v in row.items() if k != "run_id"} for row in tg.drift(*frames, **options).rows]


def test_equal_weights_are_none() -> None:
    rng = np.random.default_rng(4)
    frames = [pl.DataFrame({"x": rng.normal(d, 1, 3000), "c": rng.choice(list("abcd"), 3000)}) for d in (0, 0.1)]
    plain = drifted(frames)
    for w in (1.0, 3.0, 2.0**-40):
        assert drifted([f.with_columns(w=pl.lit(w)) for f in frames], weight="w") == plain


def test_a_common_factor_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    frames = [pl.DataFrame({"x": rng.normal(d, 1, 3000), "w": rng.lognormal(0, 1, 3000)}) for d in (0, 0.1)]
    base = drifted(frames, weight="w")
    assert drifted([f.with_columns(w=pl.col("w") * 1024) for f in frames], weight="w") == base
    for factors in ((7.3, 7.3), (1e-3, 400.0)):
        scaled = drifted([f.with_columns(w=pl.col("w") * k) for f, k in zip(frames, factors, strict=True)], weight="w")
        for a, b in zip(base, scaled, strict=True):
            if a["value"] is not None and a["exactness"] == "certified":
                assert b["bound_low"] <= a["bound_high"]
                assert a["bound_low"] <= b["bound_high"]
                assert b["value"] == pytest.approx(a["value"], rel=1e-4, abs=1e-6), a["statistic"]


def test_rows_without_a_usable_weight_are_counted_by_name() -> None:
    data = weighed(300)
    problems = info(profile(data, **options_of("weight")))["problems"]
    found = next(p for p in problems if p["kind"] == "weight")
    nulls = data["w"].null_count
    assert found["name"] == "w"
    assert "-1.0 in row 1 of unit 0" in found["message"]
    for text in (f"{nulls} null", "1 NaN", "1 infinite", "1 negative", "1 too large", "1 too small"):
        assert text in found["message"]
    assert found["rows"] == nulls + 5
    problems = info(profile(data, **options_of("frequency")))["problems"]
    assert any("2 negative" in p["message"] for p in problems)


def test_what_does_not_belong_together_is_refused() -> None:
    data = weighed(300)
    by_weight, plain = profile(data, **options_of("weight")), profile(data, roles={"ts": "time"})
    with pytest.raises(_core.UsageError, match="the reference has no weights"):
        profile(data, plain, roles={"w": "weight"})
    with pytest.raises(_core.UsageError, match=r"\"n\" and \"w\" both weigh rows"):
        profile(data, roles={"w": "weight", "n": "frequency"})
    with pytest.raises(_core.UsageError, match=r"weighs rows and is string; numbers"):
        profile(data, roles={"strings": "weight"})
    other = profile(data.set_column(data.column_names.index("w"), "w", pa.array([1e6] * 300)), **options_of("weight"))
    with pytest.raises((_core.IncompatibleError, IncompatibleError)):
        by_weight.merge([other])
    without = profile(data.drop_columns(["w"]), by_weight)
    assert any("every row counts once" in p["message"] for p in info(without)["problems"])
    with pytest.raises(_core.IncompatibleError, match="no weights"):
        profile(data, by_weight, source_id="a").merge([profile(data.drop_columns(["w"]), by_weight, source_id="b")])
    with pytest.raises(UsageError, match="pair"):
        tg.stats.ks([1.0], [2.0], weights=[1.0])
