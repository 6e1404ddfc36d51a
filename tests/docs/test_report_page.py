"""The terminal example on docs/report.md is what the command prints, to the letter."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_terminal_example_is_verbatim() -> None:
    block = re.search(r"```console\n\$ tidegauge (drift .*?)\n(.*?)\n\.\.\.\n```", _page(), flags=re.DOTALL)
    assert block
    command = [sys.executable, "-c", "from tidegauge.cli import main; main()", *shlex.split(block[1]), "-q"]
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"COLUMNS": "90"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # What follows is the digest, which names the version too, and the limitations.
    assert done.stdout.partition("\nresult b3:")[0] == block[2]


def _page() -> str:
    return (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
