from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

# The builders of records are shared by the tests of this folder.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("no chromium, chromium-browser or google-chrome on PATH; CI must install one")
    pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
