"""Verdicts that were taken away are not given again in silence."""

import json
import shutil
from pathlib import Path
from typing import Any

import tidegauge as tg
from growing import daily, write_config


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out/report.json").read_text())
    return found


def test_verdicts_that_are_gone_are_told(log: Path) -> None:
    """All sets are removed, limits relaxed, and a day comes: its part told which sets there were."""
    config = write_config(log)
    tg.run(config)
    daily(log / "log", 7, 120, skip=6)
    tg.run(config)
    honest = record_of(log)
    assert not [text for text in honest["result"]["limitations"] if "gone" in text]
    assert tg.verify(log / "out/report.json").same
    first, second = sorted(path.name for path in log.glob("store/verdicts/*"))
    shutil.rmtree(log / "store/verdicts")
    write_config(log, more="[columns.x]\ntolerance = { warn = 5.0, fail = 9.0 }")
    daily(log / "log", 8, 120, skip=7)
    tg.run(config)
    told = [text for text in record_of(log)["result"]["limitations"] if "are gone" in text]
    assert told == [
        f"Verdicts that the store kept are gone ({first}): windows that they decided were decided again, as if for "
        "the first time, under the rules of the run that did."
    ]
    found = tg.verify(log / "out/report.json")
    assert found.exit_code() == 6
    assert found.first == f"store/verdicts: {first}: was there when data was added"
    # The report says it itself, so that nothing else differs.
    assert {level.name for level in found.levels if level.outcome == "different"} == {"inputs"}
    # Another day knows what was the last of then.
    daily(log / "log", 9, 120, skip=8)
    tg.run(config)
    assert [text for text in record_of(log)["result"]["limitations"] if first in text and second not in text]


def test_verdicts_decided_again_the_same_way_are_the_same(log: Path) -> None:
    config = write_config(log)
    tg.run(config)
    daily(log / "log", 7, 120, skip=6)
    tg.run(config)
    shutil.rmtree(sorted(log.glob("store/verdicts/*"))[-1])
    tg.run(config)
    assert not [text for text in record_of(log)["result"]["limitations"] if "gone" in text]
    assert tg.verify(log / "out/report.json").same
