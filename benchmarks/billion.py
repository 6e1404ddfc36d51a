"""A log of a billion rows: hard links of one file, windows and drift through `tidegauge run`, killed and resumed.

    python benchmarks/billion.py [--links 100] [--scale full] [--threads 2] [--record FILE]

One file is run first, for the peak of memory; then as many links of it, to the end; then the same (or --kill-links of
them, which are run to the end too) again, killed with SIGKILL at 60 % and started anew with the same command. Both must
end with the same result digest. CPU is that of the
processes, user and system, imports included; estimates of the time left are read from what the command prints and
compared with what was left.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import shapes

PROGRAM = [sys.executable, "-c", "from tidegauge.cli import main; main()", "run"]
LINE = re.compile(r"(\d+) %.*, (?:(\d+) s|(\d+) min|(\d+) h (\d+) min) left")
COLUMNS = 21
CONFIG = """
[reference]
path = "{reference}"
[current]
path = "{folder}/*.parquet"
window = "1d"
[roles]
time = "ts"
[scan]
threads = {threads}
digests = false
checkpoint = 10
[output]
files = ["report.json"]
fail_on = "never"
"""


class Run:
    """One run of the command, watched from outside; progress is that of the links."""

    def __init__(self, folder: Path, kill_at: float | None = None) -> None:
        self.lines: list[tuple[float, int, float]] = []  # elapsed, share done, seconds left
        self.killed = False
        command = [*PROGRAM, str(folder / "tidegauge.toml")]
        began = time.monotonic()
        streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=folder, **streams) as process:
            assert process.stderr is not None
            text = []
            for line in process.stderr:
                text.append(line)
                found = LINE.search(line)
                # The reference is scanned first, and tells of itself.
                if not found or not line.startswith("*.parquet"):
                    continue
                share, seconds, minutes, hours, rest = (int(x) if x else 0 for x in found.groups())
                self.lines.append((time.monotonic() - began, share, seconds + 60 * minutes + 3600 * hours + 60 * rest))
                if kill_at is not None and share >= kill_at and not self.killed:
                    process.send_signal(signal.SIGKILL)
                    self.killed = True
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.wall = time.monotonic() - began
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024
        if process.returncode != (-signal.SIGKILL if self.killed else 0):
            raise SystemExit(f"ended with {process.returncode}:\n{''.join(text)[-3000:]}")

    def eta_errors(self) -> list[float]:
        """Estimated over real seconds left, less 1, of the lines from 10 % to 90 %."""
        return [left / (self.wall - at) - 1 for at, share, left in self.lines if 10 <= share <= 90]


def prepare(folder: Path, reference: Path, links: list[Path], threads: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").unlink(missing_ok=True)
    text = CONFIG.format(reference=reference, folder=links[0].parent, threads=threads)
    (folder / "tidegauge.toml").write_text(text, encoding="utf-8")
    return folder


def digest(folder: Path, rows: int) -> str:
    """The result's digest; every row must have been scanned."""
    record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    scanned = record["inputs"]["current"]["rows"]["scanned"]
    assert scanned == rows, (scanned, rows)
    return str(record["result_digest"])


def told(run: Run) -> dict[str, Any]:
    errors = run.eta_errors()
    return {
        "cpu": round(run.cpu, 2),
        "wall": round(run.wall, 1),
        "peak": round(run.peak, 1),
        "progress_lines": len(run.lines),
        "eta_error_median": round(statistics.median(map(abs, errors)), 3) if errors else None,
    }


def results(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table, as far as they are known."""
    if "whole" not in entry:
        return []
    memory = entry["whole"]["peak"] / entry["one"]["peak"]
    memory_row = {"measure": "memory", "against": "one file", "value": round(memory, 4), "goal": 1.05}
    rows = [memory_row | {"met": memory <= memory_row["goal"]}]
    whole = entry["whole"]
    told = {"cpu_s": whole["cpu"], "rows_s": entry["rows"] / whole["wall"], "peak_mb": whole["peak"]}
    rows += [
        {"measure": name, "against": "", "value": value, "goal": None, "met": None} for name, value in told.items()
    ]
    return [row | {"low": row["value"], "high": row["value"], "stretch": None} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=100)
    parser.add_argument("--kill-links", type=int, help="links of the run that is killed (default: as --links)")
    parser.add_argument("--part", choices=("whole", "killed"), help="one of the two halves alone")
    parser.add_argument("--kept", action="store_true", help="compare with the report that a whole run left")
    parser.add_argument("--scale", choices=tuple(shapes.SCALES), default="full")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir(), "tidegauge-bench"))
    parser.add_argument("--record", type=Path)
    args = parser.parse_args()

    data = shapes.Data(args.dir, shapes.SCALES[args.scale])
    path, reference, rows = data.log("cur"), data.log("ref"), data.scale.rows

    def begin(links: int) -> dict[str, Any]:
        return {
            "work": f"{rows * links:,} rows x 21 columns, windows of a day, through `tidegauge run`",
            "date": measure.now(), "commit": measure.commit(), "build": measure.build(), "load": [measure.load()],
            "links": links, "rows": rows * links, "values": rows * links * COLUMNS, "threads": args.threads,
            "bytes": path.stat().st_size * links,
        }  # fmt: skip

    def keep(name: str, entry: dict[str, Any]) -> None:
        entry |= {"results": results(entry), "load": [entry["load"][0], measure.load()]}
        print(json.dumps({name: entry}, indent=1), flush=True)
        if args.record:
            measure.merge(args.record, args.scale, {name: entry})

    def run(name: str, links: int, kill_at: float | None = None) -> tuple[Run, Path]:
        files = data.links(path, links, name=f"billion_{links}")
        folder = prepare(args.dir / "billion" / name, reference, files, args.threads)
        return Run(folder, kill_at), folder

    expected = None
    if args.part != "killed":
        entry = begin(args.links)
        one, folder = run("one", 1)
        digest(folder, rows)
        whole, folder = run("whole", args.links)
        expected = digest(folder, rows * args.links)
        keep("billion", entry | {"one": told(one), "whole": told(whole)})
    if args.part != "whole":
        links = args.kill_links or args.links
        entry = begin(links)
        sides = {}
        if args.kept and expected is None:
            expected = digest(args.dir / "billion" / "whole", rows * links)
        elif expected is None or links != args.links:
            whole, folder = run("part", links)
            expected = digest(folder, rows * links)
        if not args.kept:
            sides["uninterrupted"] = told(whole)
        killed, folder = run("killed", links, kill_at=60)
        if not killed.killed:
            raise SystemExit("the run ended before it told of 60 %; more --kill-links would be accepted")
        assert not (folder / "report.json").exists()
        resumed = Run(folder)
        same = digest(folder, rows * links) == expected
        sides |= {"killed": told(killed), "resumed": told(resumed)}
        keep("killed", entry | sides | {"at": killed.lines[-1][1], "same_digest": same})
        if not same:
            raise SystemExit("the resumed run has another result digest")


if __name__ == "__main__":
    main()
