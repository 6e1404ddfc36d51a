"""Examples on the pages under docs/ run as written, and their configurations are accepted."""

import doctest
import re
import tomllib
from pathlib import Path

import pytest
from tidegauge import config

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_sessions(path: Path) -> None:
    found = doctest.testfile(str(path), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert found.failed == 0


def test_rules_of_decision_are_accepted() -> None:
    text = (DOCS / "decisions-over-time.md").read_text()
    given = {"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}}
    blocks = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    for block in blocks:
        given |= tomllib.loads(block)
    settings = config.load(given)
    assert settings.decisions.consecutive == 2
    assert settings.current.baselines == ["reference", "seasonal:1y", "previous"]
