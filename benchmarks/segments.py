"""CPU time of the search for weak segments, and of SliceLine's top 4 beside the `sliceline` package.

Usage: python benchmarks/segments.py [--rows 1000000] [--peer PYTHON]

--peer is the interpreter of an environment with sliceline==0.3.0; the answers are asserted equal. Threads: one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tidegauge as tg

PEER = """
import json, sys, time
import numpy as np
from sliceline.slicefinder import Slicefinder
data = np.load(sys.argv[1])
began = time.process_time()
finder = Slicefinder(alpha=0.95, k=4, max_l=3, min_sup=int(sys.argv[2]), verbose=False)
found = finder.fit(data["codes"], data["errors"])
scores = [float(s["slice_score"]) for s in found.top_slices_statistics_]
print(json.dumps([time.process_time() - began, scores]))
"""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def case(rows: int, features: int, values: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair of values whose errors are three times as large."""
    rng = np.random.default_rng(31)
    codes = rng.integers(0, values, size=(rows, features))
    weak = (codes[:, 1] == 2) & (codes[:, 4] == 3)
    return codes, rng.exponential(size=rows) * np.where(weak, 3.0, 1.0)


def slices(rows: int, features: int, peer: str | None) -> str:
    codes, errors = case(rows, features, 6)
    options: dict[str, Any] = {"k": 4, "alpha": 0.95, "min_support": rows // 100, "n_threads": 1}
    runs = [timed(lambda: tg.top_slices(codes, errors, **options)) for _ in range(3)]
    seconds, found = min(runs, key=lambda run: run[0])
    told = f"{rows:,} rows x {features} features x 6 values, top 4: {seconds:.3f} s, counted {found.counted}"
    if peer is None:
        return told
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/case.npz"
        np.savez(path, codes=codes, errors=errors)
        command = [peer, "-c", PEER, path, str(rows // 100)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs, scores = json.loads(text.splitlines()[-1])
    assert np.allclose([s.score for s in found.slices], scores, atol=1e-7), (found.slices, scores)
    return f"{told}; sliceline {theirs:.1f} s, {theirs / seconds:.0f} times"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer")
    arguments = parser.parse_args()
    for rows, features in ((20_000, 12), (100_000, 12), (20_000, 20)):
        print(slices(rows, features, arguments.peer), flush=True)
    codes, errors = case(20_000, 12, 6)
    data = {f"x{j}": codes[:, j] for j in range(12)} | {"loss": errors}
    seconds, found = timed(lambda: tg.find_segments(data, "loss", depth=3, n_threads=1))
    print(f"find_segments, 20,000 rows x 12 features x 6 values, depth 3: {seconds:.2f} s, counted {found.counted}")
    rng = np.random.default_rng(1)
    wide = {f"x{j}": rng.normal(size=arguments.rows) for j in range(20)}
    wide["loss"] = rng.exponential(size=arguments.rows) * np.where((wide["x1"] > 1) & (wide["x4"] < -1), 2.0, 1.0)
    for depth in (2, 3):
        seconds, found = timed(lambda depth=depth: tg.find_segments(wide, "loss", depth=depth, n_threads=1))
        print(f"find_segments, {arguments.rows:,} rows x 20 numbers, depth {depth}: {seconds:.1f} s, {found.counted}")


if __name__ == "__main__":
    main()
