"""A profile file is read back as it was written, or refused: never another number, never a crash."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from engine import info, profile
from tidegauge import _core

GOLDEN = Path(__file__).parent / "golden"
CHECKSUM = 32
HEADER = 24  # magic and two lengths


def small() -> dict[str, _core.Profile]:
    return {
        "numeric": profile(pa.table({"x": [1.5, float("nan"), None, -2.0]}), source_id="s"),
        "categorical": profile(pa.table({"x": ["a", "b", None, "a"]}), source_id="s"),
        "empty": profile(pa.table({"x": pa.array([], pa.int64())}), source_id="s"),
    }


def repaired(data: bytes) -> bytes:
    body = data[:-CHECKSUM]
    return body + bytes.fromhex(_core.blake3(body).removeprefix("b3:"))


def one_byte_changes(data: bytes, end: int) -> Iterator[tuple[int, bytes]]:
    for at in range(end):
        for value in range(256):
            if value != data[at]:
                yield at, data[:at] + bytes([value]) + data[at + 1 :]


def test_round_trip() -> None:
    for made in small().values():
        loaded = _core.Profile.from_bytes(made.to_bytes())
        assert loaded.to_bytes() == made.to_bytes()
        assert loaded.digest == made.digest
        assert loaded.info_json() == made.info_json()


@pytest.mark.parametrize("name", small())
def test_every_truncation_is_refused(name: str) -> None:
    data = small()[name].to_bytes()
    for end in range(len(data)):
        with pytest.raises(_core.FormatError):
            _core.Profile.from_bytes(data[:end])
    with pytest.raises(_core.FormatError):
        _core.Profile.from_bytes(data + b"\0")


@pytest.mark.parametrize("name", small())
def test_every_change_of_a_byte_is_refused(name: str) -> None:
    data = small()[name].to_bytes()
    for _, changed in one_byte_changes(data, len(data)):
        with pytest.raises(_core.FormatError):
            _core.Profile.from_bytes(changed)


@pytest.mark.parametrize("name", small())
def test_every_change_with_a_repaired_checksum(name: str) -> None:
    """What still loads encodes to the same content, and can be read and merged or is refused there."""
    original = small()[name]
    data = original.to_bytes()
    content = HEADER + int.from_bytes(data[8:16], "little")
    for at, changed in one_byte_changes(data, len(data) - CHECKSUM):
        try:
            loaded = _core.Profile.from_bytes(repaired(changed))
        except _core.FormatError:
            continue
        assert loaded.to_bytes()[HEADER:content] == changed[HEADER:content]
        assert (loaded.digest == original.digest) == (at >= content)
        with contextlib.suppress(_core.TidegaugeError):
            info(loaded)
        with contextlib.suppress(_core.TidegaugeError):
            original.merge([loaded])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"TGPROF", b"TGPROF\0\1" + b"\xff" * 200, bytes(1000)])
def test_foreign_bytes(data: bytes) -> None:
    with pytest.raises(_core.FormatError):
        _core.Profile.from_bytes(data)
    with pytest.raises(_core.FormatError):
        _core.Profile.from_bytes(repaired(data + bytes(CHECKSUM)))


def test_a_later_version_is_named() -> None:
    data = bytearray(small()["numeric"].to_bytes())
    data[7] = 2
    with pytest.raises(_core.FormatError, match="version 2"):
        _core.Profile.from_bytes(repaired(bytes(data)))


@pytest.mark.parametrize("name", ["v1", "v1_weights"])
def test_golden_file_loads_with_the_recorded_numbers(name: str) -> None:
    data = (GOLDEN / f"{name}.tgp").read_bytes()
    recorded = json.loads((GOLDEN / f"{name}.json").read_text())
    loaded = _core.Profile.from_bytes(data)
    # The metadata may say more later; the content never changes.
    content = HEADER + int.from_bytes(data[8:16], "little")
    assert loaded.to_bytes()[HEADER:content] == data[HEADER:content]
    assert (loaded.digest, loaded.rows) == (recorded["digest"], recorded["rows"])
    assert info(loaded)["groups"] == recorded["groups"]
    for found, expected in zip(info(loaded)["columns"], recorded["columns"], strict=True):
        # A later version may say more about a column.
        assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("name", ["v1", "v1_weights"])
def test_golden_file_changed_at_every_byte(name: str) -> None:
    data = (GOLDEN / f"{name}.tgp").read_bytes()
    for at in range(len(data) - CHECKSUM):
        for flip in (0x01, 0x80, 0xFF):
            changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(_core.FormatError):
                _core.Profile.from_bytes(changed)
            with contextlib.suppress(_core.TidegaugeError):
                info(_core.Profile.from_bytes(repaired(changed)))
