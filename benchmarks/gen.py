"""Write a synthetic, realistic prediction log as Parquet: 21 columns, row groups of 1,048,576 rows.

Columns:

    ts             timestamp[us], nearly sorted over --days days
    model_version  dictionary<string>, 3 values
    country        dictionary<string>, 50 values, Zipf(1.1)
    f_norm         float64, N(0, 1)                             (drift: mean 0.05)
    f_lognorm      float64, exp(N(0, 1.5)), heavy tail          (drift: sigma 1.6)
    f_count        float64, integers, Poisson(4)                (drift: 4.4)
    f_unif         float64, U(0, 1)
    f_zeromix      float64, 60 % exact zero, else Gamma(2, 10)  (drift: 50 %)
    f_null         float64, N(5, 2) with 15 % nulls             (drift: 25 %)
    f_offset       float64, 1e6 + 1e-3 N(0, 1): cancellation
    f_f32          float32, N(0, 1)
    f_money        float64, lognormal in cents: repeated values
    f_bimodal      float64, 0.5 N(-3, 1) + 0.5 N(3, 0.5)        (drift: weights 0.4 and 0.6)
    f_beta         float64, Beta(0.5, 0.5)
    f_t3           float64, Student's t with 3 degrees of freedom
    c10, c100, c5k, c200k
                   dictionary<string>, Zipf(1.1) over so many values (drift: c10)
    score          float64 in (0, 1), logistic in some of the features
    label          int8, Bernoulli(score), 40 % nulls: labels that come late

A row group depends on --seed and its number alone.
"""

import argparse
import functools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1 << 20
DAY_US = 86_400 * 1_000_000
EPOCH_US = 1_700_000_000_000_000
VERSIONS = pa.array(["v1.4.2", "v1.5.0", "v2.0.0-rc1"])


@functools.cache
def names(k: int, prefix: str) -> pa.Array:
    return pa.array([f"{prefix}{i:06d}" for i in range(k)])


def zipf(rng: np.random.Generator, n: int, k: int, prefix: str, *, tilt: float = 0.0) -> pa.DictionaryArray:
    """Draw n values of k from Zipf(1.1); `tilt` takes that share from the first."""
    p = 1.0 / np.arange(1, k + 1) ** 1.1
    p[0] *= 1 - tilt
    cdf = np.cumsum(p / p.sum())
    index = np.minimum(np.searchsorted(cdf, rng.random(n), side="right"), k - 1)
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names(k, prefix))


def row_group(n: int, rng: np.random.Generator, *, drift: bool, start_us: int, end_us: int) -> pa.Table:
    ts = np.linspace(start_us, end_us, n, endpoint=False).astype(np.int64) + rng.integers(0, 2000, n)
    norm = rng.standard_normal(n) + 0.05 * drift
    lognorm = np.exp(rng.standard_normal(n) * (1.6 if drift else 1.5))
    count = rng.poisson(4.4 if drift else 4.0, n).astype(np.float64)
    unif = rng.random(n)
    zeromix = rng.gamma(2.0, 10.0, n)
    zeromix[rng.random(n) < (0.5 if drift else 0.6)] = 0.0
    null = 5 + 2 * rng.standard_normal(n)
    null_mask = rng.random(n) < (0.25 if drift else 0.15)
    offset = 1e6 + 1e-3 * rng.standard_normal(n)
    f32 = rng.standard_normal(n, dtype=np.float32)
    money = np.round(np.exp(3 + rng.standard_normal(n)), 2)
    left = rng.random(n) < (0.4 if drift else 0.5)
    z = rng.standard_normal(n)
    bimodal = np.where(left, -3 + z, 3 + 0.5 * z)
    beta = np.sin(np.pi / 2 * rng.random(n)) ** 2  # the arcsine law is Beta(1/2, 1/2)
    t3 = rng.standard_t(3, n)
    eta = -1.0 + 0.6 * norm + 0.15 * np.log1p(lognorm) + 0.1 * (count - 4) + 0.5 * (unif - 0.5) + 0.1 * bimodal
    score = np.clip(1 / (1 + np.exp(-eta)), 1e-12, 1 - 1e-12)
    label = (rng.random(n) < score).astype(np.int8)
    label_mask = rng.random(n) < 0.4
    version = rng.choice(3, n, p=[0.7, 0.25, 0.05]).astype(np.int32)
    columns: dict[str, Any] = {
        "ts": pa.array(ts, type=pa.timestamp("us")),
        "model_version": pa.DictionaryArray.from_arrays(pa.array(version), VERSIONS),
        "country": zipf(rng, n, 50, "C"),
        "f_norm": norm,
        "f_lognorm": lognorm,
        "f_count": count,
        "f_unif": unif,
        "f_zeromix": zeromix,
        "f_null": pa.array(null, mask=null_mask),
        "f_offset": offset,
        "f_f32": f32,
        "f_money": money,
        "f_bimodal": bimodal,
        "f_beta": beta,
        "f_t3": t3,
        "c10": zipf(rng, n, 10, "a", tilt=0.1 * drift),
        "c100": zipf(rng, n, 100, "b"),
        "c5k": zipf(rng, n, 5000, "m"),
        "c200k": zipf(rng, n, 200_000, "u"),
        "score": score,
        "label": pa.array(label, mask=label_mask),
    }
    return pa.table(columns)


def write(
    path: Path,
    rows: int,
    *,
    seed: int = 7,
    drift: bool = False,
    codec: str = "zstd",
    first_day: float = 0.0,
    days: float = 30.0,
) -> None:
    """Write `rows` rows to `path`; an interrupted run leaves no file of that name."""
    start = EPOCH_US + int(first_day * DAY_US)
    partial = path.with_name(path.name + ".partial")
    writer = None
    for number, begin in enumerate(range(0, rows, ROW_GROUP)):
        end = min(begin + ROW_GROUP, rows)
        table = row_group(
            end - begin,
            np.random.default_rng([seed, number]),
            drift=drift,
            start_us=start + int(begin / rows * days * DAY_US),
            end_us=start + int(end / rows * days * DAY_US),
        )
        if writer is None:
            writer = pq.ParquetWriter(partial, table.schema, compression=codec)
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is None:
        raise SystemExit("rows: at least 1 is needed")
    writer.close()
    partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("rows", type=float)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--drift", type=int, choices=(0, 1), default=0)
    parser.add_argument("--codec", choices=("zstd", "snappy", "none"), default="zstd")
    parser.add_argument("--day0", type=float, default=0, help="first day")
    parser.add_argument("--days", type=float, default=30)
    args = parser.parse_args()
    began = time.perf_counter()
    rows = int(args.rows)
    write(
        args.path,
        rows,
        seed=args.seed,
        drift=bool(args.drift),
        codec=args.codec,
        first_day=args.day0,
        days=args.days,
    )
    size, wall = args.path.stat().st_size, round(time.perf_counter() - began, 2)
    print(json.dumps({"path": str(args.path), "rows": rows, "codec": args.codec, "bytes": size, "wall_s": wall}))


if __name__ == "__main__":
    main()
