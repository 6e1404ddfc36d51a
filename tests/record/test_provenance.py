"""The record's sections, its published schema, and digests by independent implementations."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from tidegauge import _core
from tidegauge.cli import invoke

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_records_follow_the_published_schema(
    record: dict[str, Any], validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    validator.validate(record)
    x = [float(i % 97) for i in range(4900)]
    days = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 7, 26), "1h", eager=True)[:4900]
    report = tg.drift({"x": x, "c": ["a", "b"] * 2450}, {"x": x[:50], "c": ["a", "z"] * 25})
    validator.validate(json.loads(report.render(".json")))
    frame = pl.DataFrame({"x": x, "t": days, "s": ["u", "v"] * 2450})
    report = tg.drift(frame, frame, time="t", window="1mo", by=["s"])
    validator.validate(json.loads(report.render(".json")))


@pytest.mark.parametrize(("path", "value"), [
    (["result", "verdict"], "fine"), (["result", "rows"], 3), (["result_digest"], "b3:0"), (["schema"], "other"),
    (["inputs", "reference", "rows", "scanned"], -1), (["sign_off", "decision"], 5),
])  # fmt: skip
def test_the_schema_refuses(
    record: dict[str, Any], validator: jsonschema.Draft202012Validator, path: list[str], value: Any
) -> None:
    from tidegauge._record_schema import check
    from tidegauge.errors import FormatError

    broken = json.loads(json.dumps(record))
    at = broken
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)
    with pytest.raises(FormatError, match=".".join(path)):
        check(broken)


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["schema", "--record"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "docs/report.schema.json").read_text())


def test_sections(made: Path, record: dict[str, Any]) -> None:
    current = record["inputs"]["current"]
    assert [file["path"] for file in current["files"]] == ["logs/a.parquet", "logs/b.parquet"]
    assert current["paths"] == ["logs/*.parquet"]
    assert current["rows"] == {"expected": 2400, "scanned": 2400, "rejected": []}
    times = pl.concat([pl.read_parquet(made / file["path"]) for file in current["files"]])["ts"]
    first, last = times.min(), times.max()
    assert current["time_range"] == {
        "column": "ts", "first": f"{first:%Y-%m-%dT%H:%M:%SZ}", "last": f"{last:%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip
    model = record["inputs"]["model"]
    assert (model["owner"], model["bytes"]) == ("model owner", 420)
    assert record["result"]["model"] == {"name": "bikes", "version": "1", "digest": model["digest"]}
    assert record["inputs"]["reproduce"]["run"] == "tidegauge run tidegauge.toml"
    assert record["inputs"]["reproduce"]["verify"] == "tidegauge verify out/report.json"
    assert record["sign_off"]["decision"] is None
    assert {s["name"] for s in record["sign_off"]["signatures"]} == {None}
    cost = record["envelope"]["digests"]["current"]
    size = sum(file["bytes"] for file in current["files"])
    assert cost["bytes_hashed_while_reading"] + cost["bytes_read_besides"] == size
    # Only the column that is not profiled, footers and gaps are read besides.
    assert cost["bytes_read_besides"] < size / 4


def test_no_path_of_the_machine_is_in_the_result(made: Path, record: dict[str, Any]) -> None:
    assert str(made) not in json.dumps(record["result"])


def test_rejected_rows_are_counted_with_their_reason(folder: Path) -> None:
    path = folder / "logs/a.parquet"
    entry = pq.ParquetFile(path).metadata.row_group(1).column(2)
    content = bytearray(path.read_bytes())
    start = entry.data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    report = tg.run(folder / "tidegauge.toml", overrides=["scan.max_bad_units=1"])
    current = report.record["inputs"]["current"]
    assert current["rows"]["expected"] == 2400
    assert current["rows"]["scanned"] == 1900
    (lost,) = current["rows"]["rejected"]
    assert (lost["path"], lost["row_group"], lost["rows"]) == ("logs/a.parquet", 1, 500)
    assert current["row_digest"]["digest"] is None
    assert "row group" in current["row_digest"]["missing"] or "#1" in current["row_digest"]["missing"]
    # Bytes are digested whether they decode or not.
    assert len(current["files"][0]["parts"]["row_groups"][1]) == len(current["files"][0]["parts"]["columns"])
    assert tg.verify(folder / "out/report.json", level="inputs").same


def test_digests_can_be_turned_off(folder: Path) -> None:
    report = tg.run(folder / "tidegauge.toml", overrides=["scan.digests=false"])
    current = report.record["inputs"]["current"]
    assert "digest" not in current["files"][0]
    assert current["row_digest"] is None
    assert report.record["envelope"]["digests"] is None


def test_threads_and_batches_do_not_change_digests(folder: Path, record: dict[str, Any]) -> None:
    again = tg.run(folder / "tidegauge.toml", overrides=["scan.threads=1"]).record
    for side in ("reference", "current"):
        assert again["inputs"][side]["files"] == record["inputs"][side]["files"]
        assert again["inputs"][side]["row_digest"] == record["inputs"][side]["row_digest"]


def test_parts_by_another_program(made: Path, record: dict[str, Any], tmp_path: Path) -> None:
    """The digest of a chunk is the BLAKE3 of the bytes that pyarrow says it has."""
    entry = record["inputs"]["reference"]["files"][0]
    content = (made / entry["path"]).read_bytes()
    metadata = pq.ParquetFile(made / entry["path"]).metadata
    for number in range(metadata.num_row_groups):
        for at, name in enumerate(entry["parts"]["columns"]):
            column = metadata.row_group(number).column(at)
            assert column.path_in_schema == name
            start = min(x for x in (column.dictionary_page_offset, column.data_page_offset) if x)
            chunk = content[start : start + column.total_compressed_size]
            assert entry["parts"]["row_groups"][number][at] == [start, len(chunk), blake3(chunk)]


def blake3(content: bytes) -> str:
    return _core.blake3(content).removeprefix("b3:")


def test_blake3_by_another_program() -> None:
    """Test vectors of the BLAKE3 authors: bytes 0, 1, ..., 250, 0, 1 ... of these lengths."""
    vectors = {
        0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    }
    for length, expected in vectors.items():
        assert blake3(bytes(i % 251 for i in range(length))) == expected


def test_the_page_tells_model_data_and_commands(record: dict[str, Any]) -> None:
    from tidegauge.report import render_html

    page = render_html(record)
    assert "<dt>Owner</dt><dd>model owner</dd>" in page
    assert record["inputs"]["model"]["sha256"] in page
    assert record["inputs"]["current"]["row_digest"]["digest"] in page
    assert "tidegauge run tidegauge.toml\ntidegauge verify out/report.json" in page
    lost = {"path": "logs/<b>.parquet", "row_group": 1, "rows": 500, "reason": "checksum of a page"}
    counts = {"expected": 2400, "scanned": 1900, "rejected": [lost]}
    inputs = {**record["inputs"], "current": {**record["inputs"]["current"], "rows": counts}}
    page = render_html({**record, "inputs": inputs})
    assert "<li>logs/&lt;b&gt;.parquet, row group 1: checksum of a page</li>" in page
