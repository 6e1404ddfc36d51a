"""Signatures: an in-toto test-result statement about a record, in a DSSE envelope, by an ed25519 key file.

Nothing is asked of a network. Any tool that reads DSSE can check the envelope, and any that reads in-toto
statements (v1, predicate test-result v0.1) can gate on it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import audit
from tidegauge._files import write_all
from tidegauge.errors import FormatError, InputError, UsageError
from tidegauge.record import digest, seal, unpack_rows
from tidegauge.results import deciding_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from tidegauge._verify import Level

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD = "application/vnd.in-toto+json"
#: Name of the record's digest in the digests of the subject: BLAKE3 of what docs/record.md says, not of a file.
RECORD = "tidegauge-record-1"
#: Name of what the statement says beside the fields of its predicate.
OWN = "tidegauge"
_RESULTS = {
    "ok": "PASSED",
    "waived": "WARNED",
    "inconclusive": "WARNED",
    "warn": "WARNED",
    "error": "FAILED",
    "fail": "FAILED",
}
_TESTS = {"passedTests": {"ok"}, "warnedTests": {"warn", "waived", "inconclusive"}, "failedTests": {"fail", "error"}}


def sign(
    path: str | os.PathLike[str],
    key: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
) -> Path:
    """Sign a report whose digests hold.

    Parameters
    ----------
    path : path-like
        ``report.json``.
    key : path-like
        Private ed25519 key, PEM (PKCS 8) without a passphrase: ``openssl genpkey -algorithm ed25519``.
    output : path-like, optional
        Default: beside the report, ``report.dsse.json``.

    Returns
    -------
    Path
        The envelope that was written.

    Raises
    ------
    InputError, FormatError
        If report or key cannot be read.
    VerificationError
        If a digest of the report does not hold.
    UsageError
        If the package ``cryptography`` is absent.

    Notes
    -----
    Signed are the digest of the record, those of its envelope and of its sign-off as they are now, and the time: who
    signs fills in the sign-off first. A line is added to the audit trail that the record names, where it is there.

    Examples
    --------
    >>> import tidegauge as tg
    >>> tg.sign("report.json", "key.pem")  # doctest: +SKIP
    PosixPath('report.dsse.json')
    """
    from tidegauge._verify import read_record

    record = read_record(path)
    private = _private(key)
    trail = audit.find(record, path)
    if trail is not None:
        # Before anything is written: a damaged trail takes no line.
        audit.check(trail)
    payload = json.dumps(statement(record, Path(path)), sort_keys=True, separators=(",", ":")).encode()
    signature = private.sign(_encoded(payload))
    keyid = _key_id(private.public_key())
    envelope = {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }
    target = place(path) if output is None else Path(output)
    write_all([(target, (json.dumps(envelope) + "\n").encode())])
    audit.note(record, path, "signed", keyid=keyid, envelope=target.name)
    return target


def place(report: str | os.PathLike[str]) -> Path:
    """Where the signature of a report lies: ``report.dsse.json`` beside ``report.json``."""
    return Path(report).with_suffix(".dsse.json")


def statement(record: Mapping[str, Any], report: Path) -> dict[str, Any]:
    """The in-toto statement: the record is the subject, its verdicts are the tests."""
    result, inputs = record["result"], record["inputs"]
    subjects = [{"name": report.name, "digest": {RECORD: record["record_digest"].removeprefix("b3:")}}]
    model = inputs.get("model") or {}
    if "sha256" in model:
        subjects.append({"name": model["path"], "digest": {"sha256": model["sha256"]}})
    configuration = inputs.get("configuration_as_written")
    content = configuration.encode() if configuration else digest(result["configuration"]).encode()
    name = inputs.get("configuration_name") or "configuration"
    tests = _tests(record)
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULTS[result["verdict"]],
            "configuration": [{"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}],
            **{name: [text for text, verdict in tests if verdict in of] for name, of in _TESTS.items()},
            # Readers of test results pass over what they do not know.
            OWN: {"signed_at": _now(), **_beside(record)},
        },
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _beside(record: Mapping[str, Any]) -> dict[str, str]:
    """Digests of what the digest of the record does not cover: when and where it was made, and what people decided."""
    return {name: digest(record.get(name)) for name in ("envelope", "sign_off")}


def _tests(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The verdicts that decide, by the name of what they are about."""
    from tidegauge._verify import decided_by

    rows = deciding_rows(unpack_rows(record["result"]["rows"]), decided_by(record["result"]))
    named = []
    for row in rows:
        if row["verdict"] in (None, "not_evaluated"):
            continue
        parts = [str(row["feature"])]
        parts += [str(row["window_start"])] if row["window_start"] is not None else []
        parts += [f"{row['segment_by']}={row['segment_value']}"] if row["segment_by"] is not None else []
        parts += [str(row["statistic"])] if row["statistic"] != "verdict" else []
        named.append((" / ".join(parts), row["verdict"]))
    return named


def check_signature(report: str, record: Mapping[str, Any], key: str | os.PathLike[str]) -> Level:
    """Whether the envelope beside a report is by this key and about this record."""
    from cryptography.exceptions import InvalidSignature

    from tidegauge._verify import Level

    public = _public(key)
    target = place(report)
    different = Level("signature", "different")
    try:
        envelope = json.loads(target.read_bytes())
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(s["sig"], validate=True) for s in envelope["signatures"]]
        kind = envelope["payloadType"]
    except FileNotFoundError:
        different.differences.append(f"{target}: no such file; tidegauge sign writes it")
        return different
    except (OSError, ValueError, KeyError, TypeError) as error:
        different.differences.append(f"{target}: no signed envelope: {type(error).__name__}: {error}")
        return different
    told = json.dumps(kind)
    if kind != PAYLOAD:
        different.differences.append(f"{target}: payload of type {told}; accepted is {PAYLOAD}")
        return different
    for signature in signatures:
        try:
            public.verify(signature, _encoded(payload))
            break
        except InvalidSignature:
            continue
    else:
        different.differences.append(f"{target}: none of its {len(signatures)} signatures is by this key")
        return different
    try:
        said = json.loads(payload)
        subjects = [subject["digest"].get(RECORD) for subject in said["subject"]]
        kinds = (said["_type"], said["predicateType"])
    except (ValueError, KeyError, TypeError, AttributeError):
        kinds, subjects = ("", ""), []
    if kinds != (STATEMENT, PREDICATE):
        different.differences.append(f"{target}: no test-result statement of in-toto")
        return different
    # Of the content, not what the record says of itself.
    actual = seal(dict(record))["record_digest"].removeprefix("b3:")
    if actual not in subjects:
        different.differences.append(f"{target}: signs another record, {str(subjects[0])[:12]}; this is {actual[:12]}")
        return different
    own = said["predicate"].get(OWN) or {}
    at = own.get("signed_at", "at an unknown time")
    for name, found in _beside(record).items():
        if own.get(name) != found:
            different.differences.append(f"{name}: changed after it was signed, {at}")
    if different.differences:
        return different
    told = f"{target.name}, key {_key_id(public)[:16]}, {said['predicate']['result']}, signed {at}"
    return Level("signature", "same", told)


def _encoded(payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE v1."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _key_id(public: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _private(key: str | os.PathLike[str]) -> Ed25519PrivateKey:
    content = _read(key)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    accepted = "accepted is a private ed25519 key, PEM without a passphrase (openssl genpkey -algorithm ed25519)"
    try:
        loaded = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise FormatError(f"{key}: {accepted}") from None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise FormatError(f"{key}: {accepted}")
    return loaded


def _public(key: str | os.PathLike[str]) -> Ed25519PublicKey:
    content = _read(key)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    accepted = "accepted is a public ed25519 key, PEM (openssl pkey -in KEY -pubout)"
    try:
        loaded = load_pem_public_key(content)
    except (ValueError, TypeError):
        raise FormatError(f"{key}: {accepted}") from None
    if not isinstance(loaded, Ed25519PublicKey):
        raise FormatError(f"{key}: {accepted}")
    return loaded


def _read(key: str | os.PathLike[str]) -> bytes:
    try:
        import cryptography  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("signatures need the package cryptography; install tidegauge[sign]") from None
    try:
        return Path(key).read_bytes()
    except OSError as error:
        raise InputError(f"{key}: {(error.strerror or str(error)).lower()}; accepted is a key file") from None
