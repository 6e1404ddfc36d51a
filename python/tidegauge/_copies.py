"""Files of a log that hold the bytes of another: delivered twice, or moved after they were counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _provenance
from tidegauge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidegauge._store import Store

#: Kind of the problem that tells of one.
KIND = "copy"
#: Files that limitations name.
_MOST = 5


class Copies:
    """The files of a store, and those that a run has taken, by size and footer.

    Files of one size and footer are compared byte by byte where both are there, else by the digests that the store
    keeps; where it keeps none, size and footer decide.
    """

    def __init__(self, store: Store, base: Path, covered: Mapping[str, Mapping[int, tuple[int, str]]]) -> None:
        self._store = store
        self._base = base
        self._places: dict[tuple[int, str], list[tuple[str, Path]]] = {}
        for name, groups in covered.items():
            for mark in set(groups.values()):
                self._places.setdefault(mark, []).append((name, base / name))

    def of(self, file: Mapping[str, Any]) -> str | None:
        """The name of a file that was counted with the same bytes; otherwise this one is kept in mind."""
        mark = (file["bytes"], file["footer"])
        known = self._places.setdefault(mark, [])
        for name, path in known:
            if name != file["file"] and self._same(file, name, path):
                return name
        known.append((file["file"], Path(file["path"])))
        return None

    def _same(self, file: Mapping[str, Any], name: str, path: Path) -> bool:
        from tidegauge._verify import file_differences

        try:
            if path.is_file() and path.stat().st_size == file["bytes"]:
                return path.samefile(file["path"]) or _digest(path) == _digest(file["path"])
            kept = self._store.files(self._store.parts_of(name)).get(name)
        except OSError as error:
            raise InputError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from None
        if kept is None or kept.get("digest") is None:
            return True
        told = {key: value for key, value in kept.items() if value is not None}
        entry = {"path": name, "bytes": file["bytes"], **told}
        return not file_differences(entry, Path(file["path"]))


def _digest(path: Any) -> Any:
    return _provenance.whole(path)["digest"]


def problem(file: Mapping[str, Any], other: str) -> dict[str, Any]:
    """What the record tells of a file that was not counted."""
    rows = [unit["rows"] for unit in file["units"]]
    return {
        "kind": KIND,
        "name": file["file"],
        "message": f"the bytes of {other}, whose rows were counted",
        "rows": None if None in rows else sum(rows),
    }


def twice(side: str, sources: Sequence[Mapping[str, Any]], folder: str | None) -> Iterable[str]:
    """Limitations of a scan: files of one digest, whose rows were counted each time."""
    by_digest: dict[str, list[str]] = {}
    for source in sources:
        if source.get("digest") and source.get("path") and source.get("rows") != 0:
            by_digest.setdefault(source["digest"], []).append(_provenance.relative(source["path"], folder))
    same = sorted(sorted(names) for names in by_digest.values() if len(names) > 1)
    for names in same[:_MOST]:
        yield f"Files of the {side} data hold the same bytes, and their rows are counted each time: {', '.join(names)}."
    if len(same) > _MOST:
        yield f"More bytes that several files of the {side} data hold: {len(same) - _MOST}."


def note(problems: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Limitations: files that were not counted again."""
    for told in problems[:_MOST]:
        yield f"File {told['name']} holds {told['message']}; it is not counted again."
    if len(problems) > _MOST:
        yield f"Files that hold the bytes of others, not counted again: {len(problems) - _MOST} more."
