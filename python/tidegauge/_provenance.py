"""Where the numbers come from: files with their digests, rows, times, model, and how to make them again."""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import os
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._secrets import mask_all
from tidegauge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegauge._profile import Profile
    from tidegauge.config import Config

#: Definition of the digest of rows (rust/core/src/row_digest.rs).
ROW_DIGEST = "tidegauge.rows/1"
#: Who signs off; the engine fills in none of it.
_ROLES = ("developer", "independent validator", "model owner")


def side(profile: Profile, info: Mapping[str, Any], folder: str | None, more: Sequence[Mapping[str, Any]]) -> Any:
    """``inputs`` of one side: what was read, how much of it, and what it was.

    Parameters
    ----------
    profile : Profile
    info : mapping
        ``profile.info``.
    folder : str, optional
        Where relative paths start; files below it are named from there.
    more : sequence of mapping
        Files that the core has not seen itself: text, profiles, Parquet read by another reader.
    """
    files = [{**entry} for entry in info["sources"]]
    for entry in files:
        for name in ("row_digests", "row_columns", "row_digest_missing"):
            entry.pop(name, None)
        if "path" in entry:
            lost = [
                {**unit, "reason": from_folder(unit["reason"], entry["path"], folder)}
                for unit in entry.get("rejected", ())
            ]
            entry |= {"path": relative(entry["path"], folder), **({"rejected": lost} if "rejected" in entry else {})}
    # Of a profile that was read, the profile is the input; what it was made from is told apart.
    stored = bool(more) and all(path.lower().endswith(".tgp") for path in profile.inputs)
    return {
        "paths": mask_all([relative(path, folder) for path in profile.inputs]),
        "files": mask_all([*more] if stored else [*files, *more]),
        **({"profiled_from": mask_all(files)} if stored else {}),
        "rows": _rows(profile, info, folder),
        "row_digest": row_digest(info["sources"], folder),
        "time_range": time_range(info["columns"]),
        "coverage": [relative(unit, folder) if Path(unit).is_absolute() else unit for unit in info["coverage"]],
        "problems": [problem_from(problem, folder) for problem in info["problems"]],
    }


def problem_from(problem: Mapping[str, Any], folder: str | None) -> dict[str, Any]:
    """A problem, with paths named from a folder."""
    if problem["kind"] != "unit":
        return dict(problem)
    path = problem["name"].partition("#")[0]
    name = problem["name"].replace(path, relative(path, folder)) if Path(path).is_absolute() else problem["name"]
    return {**problem, "name": name, "message": from_folder(problem["message"], path, folder)}


def from_folder(message: str, path: str, folder: str | None) -> str:
    """A message on a file, which names it as its reader was told of it, with its path from a folder."""
    whole = os.path.abspath(path)  # noqa: PTH100 - links stay
    given = "|".join(re.escape(name) for name in (whole, os.path.relpath(path)))
    return re.sub(rf"(?<![\w./-])(?:{given})(?=[:#])", lambda _: relative(path, folder), message)


def relative(path: str, folder: str | None) -> str:
    """A local path below `folder`, named from there; any other as it is."""
    if folder is None or "://" in path:
        return path
    found = os.path.relpath(path, folder)
    return path if found.startswith(os.pardir + os.sep) and Path(path).is_absolute() else found


def _rows(profile: Profile, info: Mapping[str, Any], folder: str | None) -> dict[str, Any]:
    """Rows that the files hold, those counted, and those that were not, with the reason."""
    known = [entry.get("rows") for entry in info["sources"]]
    rejected = [
        {"path": relative(entry["path"], folder), **lost, "reason": from_folder(lost["reason"], entry["path"], folder)}
        for entry in info["sources"]
        for lost in entry.get("rejected", ())
    ]
    rejected += [
        {"path": None, "row_group": None, "rows": problem["rows"], "reason": problem["message"]}
        for problem in info["problems"]
        if problem["kind"] == "weight"
    ]
    complete = known and None not in known
    return {"expected": sum(known) if complete else None, "scanned": profile.rows, "rejected": rejected}


def row_digest(sources: Sequence[Mapping[str, Any]], folder: str | None) -> dict[str, Any] | None:
    """The digest of all rows, and of those of each row group, where the scan took them."""
    taken = [entry for entry in sources if "row_digests" in entry]
    if not taken or len(taken) < len(sources):
        return None
    columns = taken[0]["row_columns"]
    lacking = [entry for entry in taken if "row_digest_missing" in entry]
    missing = next((from_folder(e["row_digest_missing"], e.get("path", "."), folder) for e in lacking), None)
    if missing is None and any(entry["row_columns"] != columns for entry in taken):
        missing = "the parts have other columns"
    parts = [digest for entry in taken for digest in entry["row_digests"]]
    found = {"definition": ROW_DIGEST, "columns": columns}
    if missing is not None:
        return {**found, "digest": None, "missing": missing}
    total = sum(int(digest, 16) for digest in parts) % 2**128
    return {**found, "digest": f"{total:032x}", "row_groups": [entry["row_digests"] for entry in taken]}


def time_range(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """First and last time of the column in the time role, in UTC."""
    column = next((c for c in columns if c.get("role") == "time"), None)
    if column is None or column.get("min") is None:
        return None
    logical = str(column["logical"])
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    unit = next((scale[u] for u in scale if f"[{u}" in logical or f"({u}" in logical), None)
    seconds = 86_400 if logical.startswith("date") else None if unit is None else 1 / unit
    if seconds is None:
        return None
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    first, last = (epoch + dt.timedelta(seconds=column[name] * seconds) for name in ("min", "max"))
    text = [moment.isoformat(timespec="seconds").replace("+00:00", "Z") for moment in (first, last)]
    return {"column": column["name"], "first": text[0], "last": text[1]}


def local_files(names: Sequence[str], profile: Profile, folder: str | None) -> list[dict[str, Any]]:
    """Files that the core did not digest itself: whole for text, profiles and models, in parts for Parquet.

    Object stores are named with the reason why they have no digest.
    """
    found: list[dict[str, Any]] = []
    stored = all(name.lower().endswith(".tgp") for name in names)
    if not stored and any("digest" in entry for entry in profile.info["sources"]):
        return found
    import json

    from tidegauge.sources import is_remote

    for name in names:
        if is_remote(name):
            found.append({"path": name, "bytes": None, "digest": None, "undigested": "object store, not read twice"})
            continue
        matches = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - as Polars
        for match in matches:
            if Path(match).is_dir() or match.endswith(".parquet"):
                files = json.loads(_core.digest_files([match]))["files"]
                found += [{**file, "path": relative(file["path"], folder)} for file in files]
            else:
                found.append({"path": relative(match, folder), **whole(match)})
    return found


def whole(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Size and digest of a whole file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    name = os.fspath(path)
    try:
        size = Path(name).stat().st_size
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    (digest,) = _core.digest_parts(name, [(0, size)])
    return {"bytes": size, "digest": f"b3:{digest}"}


def model(settings: Config) -> dict[str, Any]:
    """Identity of the model: what the configuration says, and the digests of its file."""
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(settings.model)
    if settings.model.path is None:
        return told
    path = settings.path(settings.model.path)
    found = whole(path)
    # Registries and signatures of models go by SHA-256.
    with Path(path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {**told, **found, "sha256": sha256}


def reproduce(settings: Config) -> dict[str, Any]:
    """The commands that make the record again and verify it, from the folder of the configuration."""
    name = shlex.quote(Path(settings.file_name).name) if settings.file_name else "tidegauge.toml"
    sets = "".join(f" --set {shlex.quote(text)}" for text in settings.overrides or [])
    written = next((file for file in settings.output.files if file.endswith(".json")), "report.json")
    return {
        "run": f"tidegauge run {name}{sets}",
        "verify": f"tidegauge verify {shlex.quote(written)}",
        "engine": f"tidegauge {_core.__version__}",
    }


def environment() -> dict[str, Any]:
    """Versions under which a record was made; for the envelope, since none of them may change a number."""
    packages = {}
    for name in ("numpy", "polars", "msgspec", "jinja2"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": packages,
        "executable": Path(sys.executable).name,
    }


def sign_off() -> dict[str, Any]:
    """What people decide after the run; every value is left open."""
    return {
        "decision": None,
        "rationale": None,
        "conditions": None,
        "due": None,
        "signatures": [dict.fromkeys(("name", "date", "reference"), None) | {"role": role} for role in _ROLES],
    }
