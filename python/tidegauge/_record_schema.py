"""What ``report.json`` holds: the source of its JSON Schema and of the check that ``verify`` begins with.

Sections may gain fields within one version; none loses any. A reader passes over what it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tidegauge.errors import FormatError

Digest = Annotated[str, Meta(pattern="^b3:[0-9a-f]{64}$", description="b3: and the BLAKE3 in hexadecimal digits")]
Hex = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="BLAKE3 in hexadecimal digits")]
Sum = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="sum of row hashes modulo 2^128")]
Verdict = Literal["ok", "waived", "inconclusive", "warn", "error", "fail"]
#: Offset, length and BLAKE3 of a stretch of a file.
Part = tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)], Hex]
Count = Annotated[int, Meta(ge=0)]


class Model(Struct):
    """The model in the result: what changes an answer."""

    name: str | None
    version: str | None
    #: Of the model's file, where the configuration names one.
    digest: Digest | UnsetType = UNSET


class Window(Struct):
    """One time window, or all rows."""

    start: str | None
    end: str | None
    rows: Count
    verdict: Verdict


class Table(Struct):
    """One side: counts and moments of its columns, and the digest of its profile."""

    rows: Count
    columns: list[dict[str, Any]]
    profile_digest: Digest


class Engine(Struct):
    """Version of tidegauge, definitions that were used, grids by column."""

    version: str
    definitions: list[str]
    grids: dict[str, str]


class PackedColumn(Struct):
    """A column of rows: one value for all, one a row, distinct values and where they stand, or as another column.

    ``docs/format.md`` has the forms.
    """

    value: Any = UNSET
    values: list[Any] | UnsetType = UNSET
    distinct: list[Any] | UnsetType = UNSET
    index: list[Count] | UnsetType = UNSET
    times: list[Count] | UnsetType = UNSET
    like: str | UnsetType = UNSET
    at: list[Count] | UnsetType = UNSET


class Rows(Struct):
    """All rows by column; ``tidegauge.record.unpack_rows`` gives the list."""

    count: Count
    columns: dict[str, PackedColumn]


class Result(Struct):
    """A function of the rows' values, the model's bytes, the semantic configuration and the definitions."""

    verdict: Verdict
    title: str
    model: Model
    windows: list[Window]
    reference: Table
    current: Table
    engine: Engine
    configuration: dict[str, Any]
    rows: Rows
    histograms: Any
    #: Cells that add most to each finding.
    contributions: list[dict[str, Any]]
    limitations: list[str]
    #: Sections that a run adds where its configuration asks for them.
    performance: Any = UNSET
    explanations: Any = UNSET
    risk_register: Any = UNSET
    waivers: Any = UNSET


class Parts(Struct):
    """Stretches of a Parquet file: each byte lies in a column chunk, the footer or a gap."""

    columns: list[str]
    #: By row group, then by column; null where the footer points outside the file.
    row_groups: list[list[Part | None]]
    footer: Part
    gaps: list[Part]


class File(Struct):
    """A file, or a stream of rows, as it was found."""

    path: str | UnsetType = UNSET
    stream: str | UnsetType | None = UNSET
    bytes: Count | UnsetType | None = UNSET
    rows: Count | UnsetType | None = UNSET
    row_groups: Count | UnsetType | None = UNSET
    rejected: list[dict[str, Any]] | UnsetType = UNSET
    #: Of all parts in order, or of the whole file where it has none.
    digest: Digest | UnsetType | None = UNSET
    parts: Parts | UnsetType = UNSET
    #: Why there is no digest.
    undigested: str | UnsetType = UNSET


class RowCounts(Struct):
    """Rows that the files hold (null where no file tells), rows counted, and what was not, with the reason."""

    expected: Count | None
    scanned: Count
    rejected: list[dict[str, Any]]


class RowDigest(Struct):
    """Digest of rows in any order: of all, and by file and row group."""

    definition: str
    columns: list[str]
    digest: Sum | None
    missing: str | UnsetType = UNSET
    row_groups: list[list[Sum]] | UnsetType = UNSET


class Side(Struct):
    """What was read of one side."""

    paths: list[str]
    files: list[File]
    #: Units that were counted: files with their row groups, tables, streams.
    coverage: list[str]
    #: What could not be read or counted, each with `kind` and `name`.
    problems: list[dict[str, Any]]
    rows: RowCounts | UnsetType = UNSET
    row_digest: RowDigest | UnsetType | None = UNSET
    time_range: dict[str, str] | UnsetType | None = UNSET
    #: Files that a profile was made from, where a profile was read.
    profiled_from: list[File] | UnsetType = UNSET


class ProfileFile(Struct):
    """A profile that the run left."""

    path: str
    bytes: Count
    digest: Digest


class Inputs(Struct):
    """Where the result came from: files, digests, configuration as written, identity of the model."""

    reference: Side
    current: Side
    configuration_as_written: str | None
    configuration_name: str | UnsetType | None = UNSET
    configuration_overrides: list[str] | UnsetType = UNSET
    #: As the configuration says it, and the digests of the model's file.
    model: dict[str, Any] | UnsetType = UNSET
    gate: dict[str, str] | UnsetType = UNSET
    #: The audit trail of the run.
    audit: str | UnsetType = UNSET
    #: Commands, from the folder of the configuration.
    reproduce: dict[str, str] | UnsetType = UNSET
    profiles: dict[str, ProfileFile] | UnsetType = UNSET
    snapshots: dict[str, str] | UnsetType = UNSET
    store: Any = UNSET


class Envelope(Struct):
    """When, where and how long: different for every run."""

    started: str
    finished: str
    duration_seconds: float
    host: str
    threads: int
    command: str | None
    #: Where relative paths start.
    folder: str | UnsetType = UNSET
    #: Bytes and seconds that digests cost, by side.
    digests: dict[str, Any] | UnsetType | None = UNSET


class Signature(Struct):
    """One person's signature."""

    role: str
    name: str | None
    date: str | None
    reference: str | None


class SignOff(Struct):
    """Left for people; the engine fills in nothing, and no digest covers it."""

    decision: str | None
    rationale: str | None
    conditions: str | None
    due: str | None
    signatures: list[Signature]


class SectionDigests(Struct):
    """Digests of the sections of result and inputs, which tell what was changed."""

    result: dict[str, Digest]
    inputs: dict[str, Digest]


class Record(Struct):
    """The record of one comparison."""

    schema: Literal["tidegauge.report/1"]
    result: Result
    result_digest: Digest
    inputs: Inputs
    inputs_digest: Digest
    record_digest: Digest
    section_digests: SectionDigests
    envelope: Envelope
    envelope_digest: Digest
    sign_off: SignOff


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``report.json``."""
    schema = msgspec.json.schema(Record)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tidegauge record", **schema}


def check(record: Any) -> None:
    """Refuse what is no record of this version.

    Raises
    ------
    FormatError
        Naming the first place and what is accepted there.
    """
    try:
        msgspec.convert(record, Record)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        text = text[:1].lower() + text[1:].replace("`", "'")
        raise FormatError(f"{place.rstrip('`').lstrip('.') or 'record'}: {text}") from None
