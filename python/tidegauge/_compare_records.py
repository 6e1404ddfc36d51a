"""The logs behind two records, so that their models can be compared row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Log:
    """The current data of a record, unchanged since, and what its columns are.

    Attributes
    ----------
    paths : list of str
        Files as they are now.
    label, score : str or None
        Columns in these roles, where one column has it.
    key : list of str
        Columns in the role id.
    name : str
        The model as the record names it.
    sensitive : set of str
        Columns whose values are told nowhere.
    """

    paths: list[str]
    label: str | None
    score: str | None
    key: list[str]
    name: str
    sensitive: set[str]


def is_record(data: Any) -> bool:
    """Whether `data` is the path of a ``report.json``."""
    return isinstance(data, (str, os.PathLike)) and os.fspath(data).lower().endswith(".json")


def log_of(path: str | os.PathLike[str]) -> Log:
    """The log that a report judged, if its files still hold the bytes that were read.

    Raises
    ------
    UsageError
        If the report does not tell which rows it judged: a table in memory, a profile, rows behind a filter.
    VerificationError
        If a digest of the report does not hold, or a file is another than was read.
    InputError, FormatError
        If it is no report.
    """
    from tidegauge._verify import Places, file_differences, read_record

    record = read_record(path)
    inputs, result = record["inputs"], record["result"]
    current = inputs["current"]
    filtered = [name for name in ("where", "since", "until") if name in result["configuration"]]
    if filtered:
        raise UsageError(
            f"{path}: the report judges rows behind {filtered[0]}; accepted are reports of whole files, or the logs "
            "themselves"
        )
    files = [file for file in current["files"] if "path" in file]
    if not files or any(not _is_table(file["path"]) for file in files):
        raise UsageError(f"{path}: the report does not name files of rows; accepted are the logs themselves")
    places = Places.of(record, Path(path), None)
    found = []
    for file in files:
        where = places.find(file["path"])
        if where is None:
            raise VerificationError(f"{path}: {file['path']}: no such file (current)")
        changed = file_differences(file, where)
        if changed:
            raise VerificationError(f"{path}: {changed[0]}")
        found.append(str(where))
    columns = result["current"]["columns"]
    by_role: dict[str, list[str]] = {}
    for column in columns:
        by_role.setdefault(column["role"], []).append(column["name"])
    given = result["configuration"].get("roles", {})
    keys = [name for name, role in given.items() if role == "id"] or by_role.get("id", [])
    one = {role: names[0] for role, names in by_role.items() if len(names) == 1}
    chosen: Mapping[str, Any] = result["configuration"].get("performance", {})
    model = result["model"]
    return Log(
        paths=found,
        label=one.get("label"),
        score=chosen.get("score") or one.get("score") or one.get("prediction"),
        key=keys,
        name=" ".join(filter(None, (model["name"], model["version"]))) or Path(path).stem,
        sensitive=set(result["configuration"].get("sensitive", ())),
    )


def _is_table(path: str) -> bool:
    return not path.lower().endswith(".tgp")
