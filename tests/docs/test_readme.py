"""The README's Python runs as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 3
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)  # the project's own README
    assert (tmp_path / "drift.html").stat().st_size > 10_000
    assert (tmp_path / "reference.tgp").exists()


def test_every_page_of_the_documentation_is_linked() -> None:
    text = (ROOT / "README.md").read_text()
    links = set(re.findall(r"\]\(([^)#]+)\)", text))
    assert all((ROOT / link).exists() for link in links if "://" not in link)
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").iterdir() if path.is_file()}
    assert pages - links == set()


def test_the_first_screen_is_what_the_command_prints() -> None:
    block = re.search(r"```\n\$ tidegauge (drift .*?)\n(.*?)\n```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert block
    command = [sys.executable, "-c", "from tidegauge.cli import main; main()", *shlex.split(block[1]), "-q"]
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"COLUMNS": "100"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    # What "..." stands for is left out; the rest is there to the letter, in this order.
    at = 0
    for part in block[2].split("\n...")[:-1]:
        at = done.stdout.index(part.strip("\n"), at)
