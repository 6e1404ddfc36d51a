"""A damaged LightGBM file is refused before LightGBM, which ends the process, sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "examples/bike_2011/model.lgb.txt"

LOAD = """
import sys
from pathlib import Path
from tidegauge import _models
from tidegauge.errors import FormatError

content = Path(sys.argv[1]).read_bytes()
place = Path(sys.argv[2])
refused = 0
cuts = [content[: len(content) * k // 12] for k in range(1, 12)]
flips = []
for k in range(120):
    at = (k * 7919 + 13) % len(content)
    flips.append(content[:at] + bytes([content[at] ^ (1 << k % 7)]) + content[at + 1 :])
for damaged in [*cuts, *flips]:
    place.write_bytes(damaged)
    try:
        model = _models.load(place, allow_pickle=False)
        if isinstance(model, _models.ModelFile):
            model.opened()
    except FormatError as error:
        refused += 1
        assert "model.txt" in str(error) or "model" in str(error), error
print(refused, len(cuts) + len(flips))
"""


def test_no_damage_ends_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD, str(MODEL), str(tmp_path / "model.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    # A digit for another, and text that LightGBM does not read, is a model like any other.
    refused, all_of_them = map(int, done.stdout.split()[-2:])
    assert 40 <= refused <= all_of_them
