"""`import tidegauge` and `tidegauge --help` load nothing heavy."""

import json
import subprocess
import sys

import pytest

PROBE = """
import json, sys, time
before = time.process_time()
{statement}
print(json.dumps([time.process_time() - before, sorted(sys.modules)]))
"""
HEAVY = {"numpy", "pandas", "polars", "pyarrow", "msgspec", "rich", "jinja2", "tidegauge._core"}
HELP = """
import contextlib, io
from tidegauge.cli import invoke
with contextlib.redirect_stdout(io.StringIO()):
    invoke(["--help"])
"""


def measure(statement: str) -> tuple[float, set[str]]:
    """Least CPU seconds of three runs, and the modules loaded."""
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", PROBE.format(statement=statement)]
        runs.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return min(seconds for seconds, _ in runs), set(runs[0][1])


@pytest.mark.parametrize(
    ("statement", "heavy", "budget"),
    [("import tidegauge", HEAVY | {"click"}, 0.060), (HELP, HEAVY, 0.150)],
    ids=["import", "help"],
)
def test_budget(statement: str, heavy: set[str], budget: float) -> None:
    seconds, modules = measure(statement)
    assert not modules & heavy
    assert seconds < 2 * budget  # twice the budget: the machine of a test is shared


def test_every_public_name_resolves() -> None:
    import tidegauge

    for name in tidegauge.__all__:
        assert getattr(tidegauge, name) is not None
    assert dir(tidegauge) == sorted(tidegauge.__all__)
    assert callable(tidegauge.profile)
    assert callable(tidegauge.drift)
    with pytest.raises(AttributeError, match="no attribute 'proflie'"):
        tidegauge.proflie  # noqa: B018


def test_functions_survive_the_import_of_their_modules() -> None:
    measure("import tidegauge._drift, tidegauge as tg\nassert callable(tg.drift) and callable(tg.profile)")
