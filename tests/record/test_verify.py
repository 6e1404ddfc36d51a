"""Every changed byte is found and named: data, model, profiles, configuration and report."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from tidegauge._verify import LEVELS, Verification
from tidegauge.cli import invoke
from tidegauge.errors import UsageError
from tidegauge.record import pack_rows, seal, unpack_rows

Flip = Callable[..., None]


def check(folder: Path, **options: Any) -> Verification:
    return tg.verify(folder / "out/report.json", root=folder, **options)


def outcomes(found: Verification) -> dict[str, str]:
    return {level.name: level.outcome for level in found.levels}


def test_an_untouched_run_is_the_same_on_all_levels(made: Path, folder: Path) -> None:
    for where in (made, folder):
        found = check(where)
        assert outcomes(found) == dict.fromkeys(LEVELS, "same"), repr(found)
        assert found.exit_code() == 0
        assert repr(found).endswith("\nsame")
    # Without a root, paths start where the run was.
    assert tg.verify(folder / "out/report.json", level="inputs").same


def parts(entry: dict[str, Any]) -> list[tuple[str, int, int]]:
    """All stretches of a file: name, offset, length."""
    found = []
    for number, row_group in enumerate(entry["parts"]["row_groups"]):
        for column, (offset, length, _) in zip(entry["parts"]["columns"], row_group, strict=True):
            found.append((f"row group {number}, column {column!r} changed", offset, length))
    offset, length, _ = entry["parts"]["footer"]
    found.append(("footer changed", offset, length))
    found += [("outside of columns and footer", offset, length) for offset, length, _ in entry["parts"]["gaps"]]
    return found


def test_each_byte_of_a_file_belongs_to_one_part(made: Path, record: dict[str, Any]) -> None:
    for side in ("reference", "current"):
        for entry in record["inputs"][side]["files"]:
            end = 0
            for _, offset, length in sorted(parts(entry), key=lambda part: part[1]):
                assert offset == end
                end += length
            assert end == entry["bytes"] == (made / entry["path"]).stat().st_size


def test_one_byte_anywhere_in_the_data_is_found_and_named(folder: Path, record: dict[str, Any], flip: Flip) -> None:
    generator = random.Random(7)
    tried = 0
    for side in ("reference", "current"):
        for entry in record["inputs"][side]["files"]:
            path = folder / entry["path"]
            for place, offset, length in parts(entry):
                # The first byte of a chunk begins a page header, the last ends its data.
                for at in {offset, offset + length - 1, offset + generator.randrange(length)}:
                    flip(path, at, 1 << generator.randrange(8))
                    found = check(folder, level="inputs")
                    assert found.exit_code() == 6
                    assert found.first is not None
                    assert found.first.startswith(entry["path"])
                    assert place in found.first, (at, found.first)
                    assert len(found.levels[1].differences) == 1
                    shutil.copyfile(made_of(folder, entry["path"]), path)
                    tried += 1
    assert tried > 150
    assert check(folder, level="inputs").same


def made_of(folder: Path, name: str) -> Path:
    """The untouched file."""
    return Path(json.loads((folder / "out/report.json").read_text())["envelope"]["folder"]) / name


@pytest.mark.parametrize("at", ["footer length", "magic", "first page header"])
def test_a_file_that_no_longer_decodes_is_named_on_each_level(
    folder: Path, record: dict[str, Any], flip: Flip, at: str
) -> None:
    entry = record["inputs"]["current"]["files"][0]
    size = entry["bytes"]
    column = entry["parts"]["columns"].index("temp")
    start = entry["parts"]["row_groups"][0][column][0]
    position = {"footer length": size - 7, "magic": size - 1, "first page header": start}
    flip(folder / entry["path"], position[at], 0x80)
    found = check(folder)
    assert outcomes(found)["inputs"] == "different"
    assert outcomes(found)["numbers"] == "same"
    assert outcomes(found)["rescan"] == "different"
    expected = "row group 0, column 'temp' changed" if at == "first page header" else "footer changed"
    assert found.first == f"{entry['path']}: {expected}"


def test_values_that_decode_to_others_are_named_by_their_number(folder: Path) -> None:
    path = folder / "logs/b.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns(temp=pl.col("temp") + 0.25).write_parquet(path, row_group_size=500)
    found = check(folder)
    rescan = found.levels[-1]
    assert rescan.outcome == "different"
    value = re.compile(r"feature 'temp', statistic ks, window 2011-\S+, version 1: value: .* recorded, .* made again")
    assert any(value.search(text) for text in rescan.differences)
    assert found.levels[1].differences[0].startswith("logs/b.parquet: ")
    # Numbers of that column come first; those of others are intervals at another level.
    assert rescan.differences[0].startswith("result.current.columns[temp].mean: ")
    assert not any("feature 'hum'" in text and ": value:" in text and "ks" in text for text in rescan.differences)


def test_missing_cut_and_grown_files(folder: Path) -> None:
    path = folder / "logs/a.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert f"{len(content) - 1:,} bytes, {len(content):,} were read" in str(check(folder, level="inputs").first)
    path.write_bytes(content + b"x")
    assert not check(folder, level="inputs").same
    path.unlink()
    assert check(folder, level="inputs").first == "logs/a.parquet: not found (current)"


def test_model_and_profiles(folder: Path, flip: Flip) -> None:
    generator = random.Random(5)
    size = (folder / "model.txt").stat().st_size
    for at in [0, size - 1, *(generator.randrange(size) for _ in range(20))]:
        bit = 1 << generator.randrange(8)
        flip(folder / "model.txt", at, bit)
        assert check(folder, level="inputs").first == "model.txt: content changed"
        flip(folder / "model.txt", at, bit)
    flip(folder / "model.txt", 30)
    found = check(folder)
    assert found.levels[1].differences == ["model.txt: content changed"]
    assert any(text.startswith("result.model.digest") for text in found.levels[-1].differences)
    flip(folder / "model.txt", 30)
    for side in ("reference", "current"):
        path = folder / f"out/profiles/{side}.tgp"
        size = path.stat().st_size
        for at in [0, size - 1, *(generator.randrange(size) for _ in range(30))]:
            flip(path, at)
            found = check(folder, level="inputs" if at % 3 else "numbers")
            assert found.first == f"out/profiles/{side}.tgp: content changed"
            assert found.levels[1].outcome == "different"
            if len(found.levels) > 2 and found.levels[-1].outcome == "different":
                # It no longer decodes, or to other states: the file is named there too.
                assert any(side in text for text in found.levels[-1].differences)
            flip(path, at)
    assert check(folder, level="numbers").same


def test_a_profile_of_other_rows_makes_other_numbers(folder: Path) -> None:
    reference = tg.load(folder / "out/profiles/reference.tgp")
    other = tg.profile(folder / "logs/a.parquet", like=reference, window="1mo")
    other.save(folder / "out/profiles/current.tgp")
    numbers = check(folder, level="numbers").levels[-1]
    assert numbers.differences[0].startswith("profile of the current: its content is b3:")
    assert any("made again" in text for text in numbers.differences)


def test_one_byte_anywhere_in_the_report_is_found(folder: Path) -> None:
    path = folder / "out/report.json"
    content = path.read_bytes()
    whole = json.loads(content)
    generator = random.Random(11)
    changed = 0
    for _ in range(150):
        at = generator.randrange(len(content))
        damaged = bytearray(content)
        damaged[at] ^= 1 << generator.randrange(7)
        path.write_bytes(damaged)
        try:
            again = json.loads(bytes(damaged).decode())
        except ValueError:
            again = None
        if again == whole and json.dumps(again) == json.dumps(whole):
            continue  # another way to write the same values, such as \u00e9 with a capital
        signed = again is not None and {k: v for k, v in again.items() if k != "sign_off"} == {
            k: v for k, v in whole.items() if k != "sign_off"
        }
        found = check(folder, level="record")
        if not signed:
            changed += 1
            assert found.exit_code() == 6, at
            assert found.first
    assert changed > 120


def test_a_changed_number_is_named_though_only_its_digest_tells(folder: Path, record: dict[str, Any]) -> None:
    path = folder / "out/report.json"
    rows = unpack_rows(record["result"]["rows"])
    row = next(r for r in rows if r["feature"] == "temp" and r["statistic"] == "ks" and r["decides"])
    row["value"] += 0.001
    record = {**record, "result": {**record["result"], "rows": pack_rows(rows)}}
    path.write_text(json.dumps(record))
    found = check(folder)
    assert found.levels[0].differences == ["result.rows: its digest does not hold"]
    assert outcomes(found) | {"numbers": "not checked", "rescan": "not checked"} == outcomes(found)
    assert "the record is not as it was written" in found.levels[3].told
    # Whoever renews the digests is found by the numbers.
    path.write_text(json.dumps({**seal(record), "sign_off": record["sign_off"]}))
    found = check(folder)
    place = f"result.rows: feature 'temp', statistic ks, window {row['window_start']}, version 1: value: "
    assert str(found.first).startswith(place)
    assert outcomes(found) == {
        "record": "same", "inputs": "same", "verdicts": "different", "numbers": "different", "rescan": "different",
    }  # fmt: skip


def test_a_key_that_stands_twice_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two results, one reader shows the first and digests are of the last."""
    path = folder / "out/report.json"
    whole = path.read_text()
    path.write_text(whole.replace('"result":{', '"result":{"verdict":"ok"},"result":{', 1))
    assert json.loads(path.read_text()) == json.loads(whole)
    found = check(folder)
    assert (found.exit_code(), str(found.first).partition(";")[0]) == (6, "key 'result' stands twice in one object")
    assert invoke(["report", str(path)]) == 6
    assert invoke(["gate", str(path)]) != 0
    assert "stands twice" in capsys.readouterr().err


@pytest.mark.parametrize(("field", "value"), [("verdict", "ok"), ("qvalue", 0.5), ("fail_at", 0.9), ("ci_low", 0.0)])
def test_verdicts_follow_from_the_numbers(folder: Path, record: dict[str, Any], field: str, value: Any) -> None:
    rows = unpack_rows(record["result"]["rows"])
    row = next(r for r in rows if r["feature"] == "temp" and r["statistic"] == "ks" and r["verdict"] == "fail")
    row[field] = value
    forged = seal({**record, "result": {**record["result"], "rows": pack_rows(rows)}})
    (folder / "out/report.json").write_text(json.dumps({**forged, "sign_off": record["sign_off"]}))
    found = check(folder, level="verdicts")
    assert found.levels[0].outcome == "same"
    assert "feature 'temp'" in found.levels[2].differences[0]
    assert "recorded, " in found.levels[2].differences[0]


def test_what_people_accepted_is_taken_off_before_verdicts_are_decided_again(
    folder: Path, record: dict[str, Any]
) -> None:
    rows = unpack_rows(record["result"]["rows"])
    row = next(r for r in rows if r["statistic"] == "verdict" and r["feature"] == "temp" and r["verdict"] == "fail")
    places = ("feature", "window_start", "window_end", "model_version", "segment_by", "segment_value", "baseline")
    place = {**{name: row[name] for name in places}, "verdict": "fail"}
    row["message"] = f"fail, waived until 2012-01-31 by owner: season; {row['message']}"
    row["verdict"] = "waived"

    def forged(waivers: list[dict[str, Any]]) -> Verification:
        result = {**record["result"], "rows": pack_rows(rows), "waivers": waivers}
        made = seal({**record, "result": result})
        (folder / "out/report.json").write_text(json.dumps({**made, "sign_off": record["sign_off"]}))
        return check(folder, level="verdicts")

    waiver = {"match": "temp", "until": "2012-01-31", "who": "owner", "why": "season", "waived": [place], "ended": []}
    assert not [text for text in forged([waiver]).levels[2].differences if "statistic verdict" in text]
    told = forged([]).levels[2].differences
    assert any(
        "feature 'temp', statistic verdict" in text and "verdict: ok recorded, fail follows" in text for text in told
    )


def test_the_overall_verdict_and_windows_follow_too(folder: Path, record: dict[str, Any]) -> None:
    result = {**record["result"], "verdict": "ok"}
    result["windows"] = [{**window, "verdict": "ok"} for window in result["windows"]]
    forged = seal({**record, "result": result})
    (folder / "out/report.json").write_text(json.dumps({**forged, "sign_off": record["sign_off"]}))
    told = check(folder, level="verdicts").levels[2].differences
    assert told[0] == "result.verdict: ok recorded, fail follows"
    assert any(text.startswith("result.windows[") for text in told)


@pytest.mark.parametrize(("old", "new", "place"), [
    ('window = "1mo"', 'window = "1w"', "result.configuration.window"),
    ("max = 0.9", "max = 0.1", "result.configuration.checks"),
    ('exclude = ["row_id"]', 'exclude = ["row_id", "hum"]', "result.configuration.exclude"),
])  # fmt: skip
def test_another_configuration_gives_another_result(
    folder: Path, record: dict[str, Any], old: str, new: str, place: str
) -> None:
    written = record["inputs"]["configuration_as_written"]
    assert old in written
    inputs = {**record["inputs"], "configuration_as_written": written.replace(old, new)}
    (folder / "out/report.json").write_text(json.dumps({**record, "inputs": inputs}))
    found = check(folder)
    assert found.levels[0].differences[0] == "inputs.configuration_as_written: its digest does not hold"
    assert outcomes(found) | {"numbers": "not checked", "rescan": "not checked"} == outcomes(found)
    # Whoever renews the digests is found by what follows from the configuration.
    forged = seal({**record, "inputs": inputs}) | {"sign_off": record["sign_off"]}
    (folder / "out/report.json").write_text(json.dumps(forged))
    assert check(folder).levels[-1].differences[0].startswith(place)


def test_a_sample_of_row_groups(folder: Path, record: dict[str, Any], flip: Flip) -> None:
    found = check(folder, sample=3, seed=1)
    assert outcomes(found) == {"record": "same", "sample": "same", "verdicts": "same", "numbers": "same"}
    assert "3 of 9 row groups" in found.levels[1].told
    assert "rows of 3 decoded" in found.levels[1].told
    assert check(folder, sample=99).levels[1].told.startswith("9 of 9 row groups")
    entry = record["inputs"]["current"]["files"][1]
    offset, length, _ = entry["parts"]["row_groups"][2][3]
    flip(folder / entry["path"], offset + length - 2)
    told = check(folder, sample=9).first
    assert told == f"{entry['path']}: row group 2, column {entry['parts']['columns'][3]!r} changed"
    # Other choices are other row groups: one in nine finds it.
    seen = {check(folder, sample=1, seed=seed, level="inputs").same for seed in range(20)}
    assert seen == {True, False}
    with pytest.raises(UsageError, match="sample: 0"):
        check(folder, sample=0)


def test_compaction_keeps_the_digest_of_rows(made: Path, folder: Path, record: dict[str, Any]) -> None:
    """One file in another order, with other row groups, compression and a dictionary: the same rows."""
    both = pl.concat([pl.read_parquet(made / "logs/b.parquet"), pl.read_parquet(made / "logs/a.parquet")])
    shutil.rmtree(folder / "logs")
    (folder / "logs").mkdir()
    both.sample(fraction=1.0, shuffle=True, seed=3).write_parquet(
        folder / "logs/all.parquet", compression="lz4", row_group_size=10_000
    )
    again = tg.run(folder / "tidegauge.toml").record
    assert again["result_digest"] == record["result_digest"]
    assert again["inputs"]["current"]["row_digest"]["digest"] == record["inputs"]["current"]["row_digest"]["digest"]
    both.with_columns(hum=pl.when(pl.int_range(pl.len()) == 5).then(0.123).otherwise("hum")).write_parquet(
        folder / "logs/all.parquet"
    )
    other = tg.run(folder / "tidegauge.toml").record
    assert other["inputs"]["current"]["row_digest"]["digest"] != record["inputs"]["current"]["row_digest"]["digest"]


def test_text_has_the_digest_of_rows_of_parquet(made: Path, folder: Path) -> None:
    # Digits of a 32-bit float are those of another number in 64.
    options = ['roles.exclude=["row_id", "score_lgb"]']
    record = tg.run(folder / "tidegauge.toml", overrides=options).record
    both = pl.concat([pl.read_parquet(made / "logs/a.parquet"), pl.read_parquet(made / "logs/b.parquet")])
    both.write_csv(folder / "current.csv")
    again = tg.run(folder / "tidegauge.toml", overrides=[*options, "current.path=current.csv"]).record
    (file,) = [entry for entry in again["inputs"]["current"]["files"] if "path" in entry]
    assert file["path"] == "current.csv"
    assert again["result"]["current"]["profile_digest"] == record["result"]["current"]["profile_digest"]
    assert again["inputs"]["current"]["row_digest"]["digest"] == record["inputs"]["current"]["row_digest"]["digest"]
    assert check(folder).same
    content = bytearray((folder / "current.csv").read_bytes())
    content[-3] ^= 1
    (folder / "current.csv").write_bytes(content)
    assert check(folder).first == "current.csv: content changed"


def test_a_reference_that_is_a_profile_is_the_input(folder: Path, flip: Flip) -> None:
    """Its own data need not be there any more."""
    shutil.copyfile(folder / "out/profiles/reference.tgp", folder / "reference.tgp")
    (folder / "reference.parquet").unlink()
    record = tg.run(folder / "tidegauge.toml", overrides=["reference.path=reference.tgp"]).record
    reference = record["inputs"]["reference"]
    assert [file["path"] for file in reference["files"]] == ["reference.tgp"]
    assert reference["profiled_from"][0]["rows"] == 1464
    assert reference["profiled_from"][0]["digest"].startswith("b3:")
    found = check(folder)
    assert outcomes(found) == dict.fromkeys(LEVELS, "same"), repr(found)
    flip(folder / "reference.tgp", 2000)
    assert check(folder, level="inputs").first == "reference.tgp: content changed"


def test_what_a_report_of_drift_lacks_is_said(tmp_path: Path) -> None:
    report = tg.drift({"x": [1.0, 2.0, 3.0]}, {"x": [1.0, 2.0, 3.5]})
    report.to_json(tmp_path / "report.json")
    found = tg.verify(tmp_path / "report.json")
    assert outcomes(found) == {
        "record": "same", "inputs": "not checked", "verdicts": "same", "numbers": "not checked",
        "rescan": "not checked",
    }  # fmt: skip
    assert repr(found).endswith("same, but inputs and numbers and rescan not checked")


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = str(folder / "out/report.json")
    assert invoke(["verify", report, "--root", str(folder), "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*LEVELS, "same"]
    assert invoke(["verify", report, "--root", str(folder), "--format", "json", "--level", "verdicts", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    (folder / "model.txt").write_text("another")
    assert invoke(["verify", report, "--root", str(folder), "--level", "inputs", "--audit", "-q"]) == 6
    assert capsys.readouterr().out.splitlines()[-1].startswith("different: model.txt: ")
    assert invoke(["verify", str(folder / "none.json")]) == 3
    assert invoke(["verify", report, "--level", "all"]) == 2
    (folder / "out/report.json").write_text("{")
    assert invoke(["verify", report]) == 6
    assert "not JSON" in capsys.readouterr().out
