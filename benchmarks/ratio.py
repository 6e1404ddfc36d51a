"""CPU time of a full profile and compare, over pyarrow merely decoding the same columns.

Each side is a process of its own; its figure is user + system CPU time less that of a bare import, and the ratio
is the median over the runs. The profile counts against a grid saved beforehand: counts, sums, grid of 1024 cells with
cell sums, key histogram and categories of all 21 columns of gen.py; no row sample, no digests. `--links k` reads k hard
links of one file, for the peak of memory. Both sides must report the same number of rows.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GEN = Path(__file__).with_name("gen.py")

DECODE = """
import pyarrow.parquet as pq
rows = 0
for path in {files!r}:
    file = pq.ParquetFile(path, read_dictionary=["model_version", "country", "c10", "c100", "c5k", "c200k"])
    for i in range(file.num_row_groups):
        rows += file.read_row_group(i, use_threads=True).num_rows
print(rows)
"""
PROFILE = """
import tidegauge as tg
reference = tg.Profile.load({saved!r})
current = tg.profile({files!r}, like=reference)
tg.compare(reference, current)
print(current.rows)
"""
SAVE = """
import tidegauge as tg
tg.profile({path!r}).save({saved!r})
"""


def cpu(code: str) -> tuple[float, float, str]:
    """CPU seconds, peak memory in MB and standard output of Python running `code`."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"failed: {code}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


def generate(path: Path, rows: int, *options: str) -> None:
    """Write a log in a process of its own: a child starts with the peak of memory of its parent."""
    subprocess.run([sys.executable, str(GEN), str(path), str(rows), *options], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--codec", choices=("zstd", "snappy", "none"), default="zstd")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir(), "tidegauge-bench"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--links", type=int, default=1, help="hard links of the file to read")
    parser.add_argument("--limit", type=float, help="exit with 1 when the ratio is above it")
    args = parser.parse_args()

    args.dir.mkdir(parents=True, exist_ok=True)
    reference = args.dir / f"ref_{args.codec}.parquet"
    current = args.dir / f"cur_{args.rows}_{args.codec}.parquet"
    saved = args.dir / f"ref_{args.codec}.tgp"
    if not reference.exists():
        generate(reference, 1_000_000, "--seed", "7", "--codec", args.codec)
    if not current.exists():
        generate(current, args.rows, "--seed", "11", "--drift", "1", "--codec", args.codec)
    paths = [current, *(args.dir / f"{current.stem}_{i}.parquet" for i in range(1, args.links))]
    for path in paths:
        if not path.exists():
            path.hardlink_to(current)
    files = [str(path) for path in paths]

    cpu(SAVE.format(path=str(reference), saved=str(saved)))
    decode_code = DECODE.format(files=files)
    profile_code = PROFILE.format(saved=str(saved), files=files)
    decode_import = min(cpu("import pyarrow.parquet")[0] for _ in range(3))
    profile_import = min(cpu("import tidegauge")[0] for _ in range(3))
    runs = []
    for _ in range(args.runs):
        decode, _, decoded = cpu(decode_code)
        profile, peak, profiled = cpu(profile_code)
        if not decoded == profiled == str(args.rows * args.links):
            raise SystemExit(f"rows: {decoded} decoded, {profiled} profiled, {args.rows * args.links} written")
        decode, profile = decode - decode_import, profile - profile_import
        runs.append((profile / decode, decode, profile, peak))
    ratio, decode, profile, peak = (statistics.median(column) for column in zip(*runs, strict=True))
    print(
        f"{args.codec} rows={args.rows * args.links} decode={decode:.2f}s profile={profile:.2f}s "
        f"ratio={ratio:.2f} peak={peak:.0f}MB" + (f" limit={args.limit}" if args.limit else "")
    )
    sys.exit(1 if args.limit and ratio > args.limit else 0)


if __name__ == "__main__":
    main()
