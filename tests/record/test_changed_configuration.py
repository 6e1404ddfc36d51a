"""The configuration's file after the run: a changed key is named, and so is any other byte."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import tidegauge as tg
from tidegauge._verify import Verification


def check(folder: Path, level: str = "inputs") -> Verification:
    return tg.verify(folder / "out/report.json", root=folder, level=level)


@pytest.mark.parametrize(("old", "new", "told"), [
    ("max = 0.9", "max = 0.8", "checks[0].max: 0.9 recorded, 0.8 in the file"),
    ('fail_on = "never"', 'fail_on = "fail"', 'output.fail_on: "never" recorded, "fail" in the file'),
    ('exclude = ["row_id"]', "", 'roles.exclude: ["row_id"] recorded, nothing in the file'),
    ('label = "label"', 'label = "label"\nscore = "hum"', 'roles.score: nothing recorded, "hum" in the file'),
    ("[roles]", '[columns."w*".tolerance]\nwarn = 0.1\n[roles]',
     'columns: nothing recorded, {"w*": {"tolerance": {"warn": 0.1}}} in the file'),
    ("[roles]", "# reviewed\n[roles]", "line 14: changed, in no key"),
    ("max = 0.9", "max = ", "invalid value (at line 23, column 7)"),
])  # fmt: skip
def test_what_was_changed_is_named(folder: Path, old: str, new: str, told: str) -> None:
    path = folder / "tidegauge.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    found = check(folder, "rescan")
    # All else follows from the record's own text.
    assert [level.outcome for level in found.levels] == ["same", "different", "same", "same", "same"]
    assert (found.exit_code(), found.first) == (6, f"tidegauge.toml: {told}")


def test_one_byte_anywhere_is_found_and_named(folder: Path) -> None:
    path = folder / "tidegauge.toml"
    content = path.read_bytes()
    generator = random.Random(3)
    for at in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[at] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        found = check(folder)
        assert found.exit_code() == 6, at
        assert str(found.first).startswith("tidegauge.toml: "), found.first
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    assert check(folder).first == "tidegauge.toml: line 1: changed, in no key"
    path.unlink()
    assert check(folder).first == "tidegauge.toml: not found (configuration)"
    path.write_bytes(content)
    assert check(folder).same


@pytest.mark.parametrize("name", ["tidegauge.yaml", "pyproject.toml", "crlf.toml"])
def test_other_forms(folder: Path, name: str) -> None:
    text = (folder / "tidegauge.toml").read_text()
    path = folder / name
    if name == "tidegauge.yaml":
        keys = tg.config.parse(Path("x.toml"), text)
        path.write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in keys.items()))
    elif name == "pyproject.toml":
        path.write_text('[project]\nname = "x"\n\n' + re.sub(r"(?m)^(\[+)", r"\1tool.tidegauge.", text))
    else:
        path.write_bytes(text.replace("\n", "\r\n").encode())
    # The last line has no end in one of them; what is set besides stands apart from it all the same.
    tg.run(path, overrides=['output.title="again"'])
    assert check(folder, "rescan").same, check(folder, "rescan")
    if name == "pyproject.toml":
        path.write_text(path.read_text().replace('name = "x"', 'name = "y"'))
        assert check(folder).same
    path.write_bytes(path.read_bytes().replace(b"1mo", b"1w"))
    assert check(folder).first == f'{name}: current.window: "1mo" recorded, "1w" in the file'


def test_a_mapping_has_no_file(folder: Path) -> None:
    keys: dict[str, Any] = tg.config.parse(Path("x.toml"), (folder / "tidegauge.toml").read_text())
    for side in ("reference", "current"):
        keys[side]["path"] = str(folder / keys[side]["path"])
    keys["model"]["path"] = str(folder / "model.txt")
    keys["output"] = {"files": [str(folder / "out/report.json")], "profiles": str(folder / "out")}
    tg.run(keys)
    found = check(folder, "rescan")
    assert found.same, found


def test_without_digests_and_in_a_sample(folder: Path) -> None:
    path = folder / "tidegauge.toml"
    text = path.read_text() + "[scan]\ndigests = false\n"
    path.write_text(text)
    tg.run(path)
    report = folder / "out/report.json"
    assert tg.verify(report, sample=1).levels[1].outcome == "not checked"
    path.write_text(text.replace("1mo", "1w"))
    for options in ({"sample": 1}, {"level": "inputs"}):
        found = tg.verify(report, **options)  # type: ignore[arg-type]
        assert (found.exit_code(), str(found.first)[:30]) == (6, "tidegauge.toml: current.window")
