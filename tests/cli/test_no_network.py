"""No telemetry: not one command opens a connection, or asks for the address of a host."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MAIN = "from tidegauge.cli import main; main()"
#: Every command, in an order in which each finds what it needs.
LINES = (
    "--version", "init {bikes}/reference.parquet {bikes}/current.parquet -o guessed.toml", "plan tidegauge.toml",
    "run tidegauge.toml", "gate out/report.json", "verify out/report.json --level verdicts",
    "report out/report.json -o again.md", "report out -o index.html", "inspect out/report.json",
    "profile {bikes}/reference.parquet -o r.tgp", "profile {bikes}/current.parquet --like r.tgp -o c.tgp",
    "merge c.tgp -o m.tgp", "compare r.tgp c.tgp", "inspect c.tgp", "schema", "completion bash",
    "compare-models {bikes}/current.parquet --label label --a predicted --b predicted --metric rmse",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tidegauge.toml").write_text(f"""
[reference]
path = "{EXAMPLES}/bike_2011/reference.parquet"
[current]
path = "{EXAMPLES}/bike_2011/current.parquet"
[roles]
time = "ts"
label = "label"
prediction = "predicted"
[store]
path = "store"
[output]
files = ["out/report.json", "out/report.html"]
fail_on = "never"
""")
    return tmp_path


def test_no_command_opens_a_socket_of_the_internet(folder: Path) -> None:
    """As the kernel sees it, for all threads and children: sockets of families AF_INET and AF_INET6."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    trace = folder / "trace.txt"
    script = folder / "all.py"
    lines = [line.format(bikes=EXAMPLES / "bike_2011").split() for line in LINES]
    script.write_text(f"""
from tidegauge.cli import invoke
for line in {lines!r}:
    assert invoke(line) in (0, 1), line
""")
    traced = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace), sys.executable, str(script)]
    done = subprocess.run(traced, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[-100:]}")
    assert done.returncode == 0, done.stderr
    # The C library asks the local name service cache for the user's home where HOME is unset: no network.
    calls = [line for line in trace.read_text().splitlines() if "/nscd/socket" not in line]
    assert [line for line in calls if "AF_INET" in line or "connect(" in line] == []


def test_the_trace_would_show_a_connection(tmp_path: Path) -> None:
    """What the test above looks for is there when a program does it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    trace = tmp_path / "trace.txt"
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    traced = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace), sys.executable, "-c", code]
    done = subprocess.run(traced, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[-100:]}")
    assert "AF_INET" in trace.read_text()


def test_a_run_without_a_network(folder: Path) -> None:
    """In a network namespace of its own, without even the loopback device, a run ends as everywhere."""
    if shutil.which("unshare") is None or os.getuid() != 0:
        pytest.skip("a network namespace needs unshare and root")
    line = ["unshare", "-n", sys.executable, "-c", MAIN, "run", "tidegauge.toml", "-q"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if "unshare failed" in done.stderr:
        pytest.skip(f"no namespace of its own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert (folder / "out/report.html").stat().st_size > 10_000
