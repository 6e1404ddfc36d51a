"""Signatures, checked with the library itself by the definitions of DSSE and in-toto, and the audit trail."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tidegauge as tg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tidegauge import audit
from tidegauge.cli import invoke
from tidegauge.errors import FormatError, InputError, VerificationError
from tidegauge.record import seal


def keys(folder: Path, name: str = "key") -> tuple[Path, Path]:
    private = Ed25519PrivateKey.generate()
    secret, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return secret, public


def test_a_signature_is_dsse_and_in_toto(folder: Path, record: dict[str, Any], tmp_path: Path) -> None:
    secret, public = keys(tmp_path)
    target = tg.sign(folder / "out/report.json", secret)
    assert target == folder / "out/report.dsse.json"
    envelope = json.loads(target.read_text())
    payload = base64.b64decode(envelope["payload"])
    kind = "application/vnd.in-toto+json"
    assert envelope["payloadType"] == kind
    # The pre-authentication encoding, from the text of the DSSE protocol.
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload])
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key: Any = load_pem_public_key(public.read_bytes())
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(der).hexdigest()
    said = json.loads(payload)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert said["subject"][0]["digest"] == {"tidegauge-record-1": record["record_digest"].removeprefix("b3:")}
    sha256 = hashlib.sha256((folder / "model.txt").read_bytes()).hexdigest()
    assert said["subject"][1] == {"name": "model.txt", "digest": {"sha256": sha256}}
    configuration = hashlib.sha256((folder / "tidegauge.toml").read_bytes()).hexdigest()
    assert said["predicate"]["configuration"] == [{"name": "tidegauge.toml", "digest": {"sha256": configuration}}]
    assert said["predicate"]["result"] == "FAILED"
    assert any(text.startswith("temp / 2011-") for text in said["predicate"]["failedTests"])
    assert said["predicate"]["passedTests"]
    found = tg.verify(folder / "out/report.json", root=folder, level="record", key=public)
    assert [level.outcome for level in found.levels] == ["same", "same"]


def test_what_is_not_signed_by_this_key_is_told(
    folder: Path, record: dict[str, Any], tmp_path: Path, flip: Callable[..., None]
) -> None:
    report = folder / "out/report.json"
    secret, public = keys(tmp_path)
    _, other = keys(tmp_path, "other")

    def told(key: Path = public) -> str:
        found = tg.verify(report, root=folder, level="record", key=key)
        assert found.exit_code() == 6
        (signature,) = [level for level in found.levels if level.name == "signature"]
        return signature.differences[0]

    assert "no such file" in told()
    target = tg.sign(report, secret)
    assert "is by this key" in told(other)
    envelope = json.loads(target.read_text())
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[40] ^= 1
    target.write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}))
    assert "is by this key" in told()
    target.write_text(json.dumps({**envelope, "payloadType": "text/plain"}))
    assert "payload of type" in told()
    target.write_text("{}")
    assert "no signed envelope" in told()
    # Another record under an honest signature, digests renewed.
    target.write_text(json.dumps(envelope))
    changed = seal({**record, "result": {**record["result"], "title": "another"}})
    report.write_text(json.dumps({**changed, "sign_off": record["sign_off"]}))
    assert "signs another record" in told()
    # One that claims the digest that was signed.
    report.write_text(json.dumps({**changed, "record_digest": record["record_digest"], "sign_off": record["sign_off"]}))
    assert "signs another record" in told()
    with pytest.raises(VerificationError):
        tg.sign(report, secret)


def test_what_people_decided_and_when_it_was_made_are_signed_too(folder: Path, tmp_path: Path) -> None:
    report = folder / "out/report.json"
    secret, public = keys(tmp_path)
    record = json.loads(report.read_text())
    # Filled in first, then signed.
    record["sign_off"] |= {"decision": "accepted with conditions", "rationale": "season"}
    record["sign_off"]["signatures"][0]["name"] = "A. Person"
    report.write_text(json.dumps(record))
    tg.sign(report, secret)

    def signature() -> Any:
        found = tg.verify(report, root=folder, level="record", key=public)
        return next(level for level in found.levels if level.name == "signature"), found

    level, found = signature()
    assert found.same
    assert re.search(r", FAILED, signed 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$", level.told)
    honest = report.read_text()

    def changed(change: Callable[[dict[str, Any]], None]) -> list[str]:
        forged = json.loads(honest)
        change(forged)
        report.write_text(json.dumps({**seal(forged), "sign_off": forged["sign_off"]}))
        level, found = signature()
        assert found.exit_code() == 6
        # Digests of the record were renewed: the signature alone tells.
        assert found.levels[0].outcome == "same"
        return [text.partition(",")[0] for text in level.differences]

    def decision(forged: dict[str, Any]) -> None:
        forged["sign_off"]["decision"] = "accepted"

    def person(forged: dict[str, Any]) -> None:
        forged["sign_off"]["signatures"][0]["name"] = "B. Person"

    def started(forged: dict[str, Any]) -> None:
        forged["envelope"]["started"] = "2020-01-01T00:00:00Z"

    assert changed(decision) == changed(person) == ["sign_off: changed after it was signed"]
    assert changed(started) == ["envelope: changed after it was signed"]
    report.write_text(honest)
    assert signature()[1].same


def test_keys_that_are_not_accepted(folder: Path, tmp_path: Path) -> None:
    report = folder / "out/report.json"
    rsa = generate_private_key(65537, 2048)
    bad = tmp_path / "bad.pem"
    bad.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(FormatError, match="private ed25519 key"):
        tg.sign(report, bad)
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    bad.write_bytes(locked)
    with pytest.raises(FormatError, match="without a passphrase"):
        tg.sign(report, bad)
    with pytest.raises(InputError, match=r"none\.pem"):
        tg.sign(report, tmp_path / "none.pem")
    secret, _ = keys(tmp_path)
    # A private key where a public one is asked for.
    found = tg.verify(report, level="record", key=secret)
    assert "public ed25519 key" in found.levels[1].differences[0]


def test_the_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret, public = keys(tmp_path)
    report = str(folder / "out/report.json")
    assert invoke(["sign", report, "--key", str(secret)]) == 0
    assert invoke(["verify", report, "--level", "record", "--key", str(public)]) == 0
    assert "signature same" in capsys.readouterr().out
    assert invoke(["sign", report, "--key", str(public)]) == 3
    assert invoke(["sign", report]) == 2


def test_the_trail_tells_runs_verifications_and_signatures(folder: Path, tmp_path: Path) -> None:
    secret, _ = keys(tmp_path)
    trail = folder / "out/audit.jsonl"
    (folder / "model.txt").write_text("the next model")
    # The copy's record names the first folder; a run here is one of this folder.
    first = json.loads((folder / "out/report.json").read_text())["record_digest"]
    tg.run(folder / "tidegauge.toml")
    tg.sign(folder / "out/report.json", secret)
    assert invoke(["verify", str(folder / "out/report.json"), "--audit", "-q"]) == 0
    lines, head = audit.check(trail)
    assert [line["event"] for line in lines] == ["run", "run", "superseded", "signed", "verified"]
    second = json.loads((folder / "out/report.json").read_text())["record_digest"]
    assert [line["record"] for line in lines] == [first, second, first, second, second]
    assert lines[2]["by"] == second
    assert lines[4]["same"] is True
    assert head is not None


def test_verification_and_runs_check_the_chain_first(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret, _ = keys(tmp_path)
    trail, report = folder / "out/audit.jsonl", folder / "out/report.json"
    for _ in range(2):
        assert invoke(["verify", str(report), "--audit", "--level", "record", "-q"]) == 0
    assert "audit     same        2 lines, head b3:" in capsys.readouterr().out
    lines = trail.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3

    def verified(content: bytes) -> str:
        trail.write_bytes(content)
        assert invoke(["verify", str(report), "--audit", "--level", "record", "-q"]) == 6
        assert trail.read_bytes() == content
        return capsys.readouterr().out.splitlines()[-1]

    middle = lines[0] + lines[2]
    assert verified(middle).endswith("line 2 does not follow from the line before")
    assert verified(b"".join(lines)[:-4]).endswith("line 3 is not whole")
    foreign = json.dumps({"at": "", "event": "run", "record": "b3:00", "previous": None}).encode() + b"\n"
    assert verified(foreign).endswith("no line tells of the run of this report")
    # A run and a signature change nothing either.
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for content in (middle, b"".join(lines)[:-4]):
        trail.write_bytes(content)
        before[trail] = content
        assert invoke(["run", str(folder / "tidegauge.toml"), "-q"]) == 3
        assert "nothing was written" in capsys.readouterr().err
        assert invoke(["sign", str(report), "--key", str(secret)]) == 3
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    # What a record names is written only where a trail is.
    trail.unlink()
    assert invoke(["verify", str(report), "--audit", "--level", "record", "--root", str(folder), "-q"]) == 6
    assert capsys.readouterr().out.splitlines()[-1] == "not found: out/audit.jsonl: not found (audit trail)"
    assert not trail.exists()


def test_a_changed_trail_is_found(tmp_path: Path) -> None:
    trail = tmp_path / "audit.jsonl"
    heads = [audit.append(trail, "run", record=f"b3:{n}", text="\u00e9\n") for n in range(4)]
    lines, head = audit.check(trail)
    assert head == heads[-1]
    assert [line["previous"] for line in lines] == [None, *heads[:-1]]
    content = trail.read_bytes()
    rows = content.splitlines(keepends=True)
    for broken, where in [
        (rows[0] + rows[2] + rows[3], "line 2 does not follow"),
        (rows[0] + rows[1].replace(b'"b3:1"', b'"b3:7"') + rows[2] + rows[3], "line 3 does not follow"),
        (rows[1] + rows[0] + rows[2] + rows[3], "line 1 does not follow"),
        (content[:-1], "line 4 is not whole"),
        (rows[0] + b"{}\n", "line 2 is no line"),
    ]:
        trail.write_bytes(broken)
        with pytest.raises(FormatError, match=where):
            audit.check(trail)
    trail.write_bytes(content[:-5])
    with pytest.raises(FormatError, match="not whole"):
        audit.append(trail, "run")
    with pytest.raises(ValueError, match="'ran'"):
        audit.append(trail, "ran")
    # Cut at a line: only a head kept elsewhere tells.
    trail.write_bytes(b"".join(rows[:3]))
    assert audit.check(trail)[1] == heads[2]


def test_a_line_that_does_not_fit_leaves_the_trail_whole(tmp_path: Path) -> None:
    """A limit on the size of files lets a part of the line be written, as a full disk does."""
    trail = tmp_path / "trail.ndjson"
    audit.append(trail, "run", record="b3:00", report="report.json")
    before = trail.read_bytes()
    code = f"""
import resource
from tidegauge import audit
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 40}, -1))
try:
    audit.append({str(trail)!r}, "run", record="b3:01", report="report.json")
except OSError as error:
    print(error.filename)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(trail)
    assert trail.read_bytes() == before
    audit.append(trail, "run", record="b3:01", report="report.json")
    assert len(audit.check(trail)[0]) == 2
