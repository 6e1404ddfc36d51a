"""What is known beforehand of files without a footer of rows: text, compressed or not, and Arrow IPC.

Rows of text are those of its first bytes, in proportion to its size; a probe of it is its first and its last
lines, copied to files of their own, so that they are read just as a run reads the whole. Compressed text and
Arrow IPC are counted, which decompresses them once.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge.errors import InputError, TidegaugeError, UsageError
from tidegauge.sources import _COMPRESSED, _TEXT, _guard, _kind, _scan, is_remote, small_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidegauge._profile import Options

#: Bytes of text at either end that a probe reads.
PROBED_BYTES = 4 << 20
#: Rows at either end that a probe reads of other formats.
PROBED_ROWS = 1 << 15


def is_parquet(where: str | Sequence[str]) -> bool:
    """Whether paths name what has footers."""
    return {_kind(name) for name in ([where] if isinstance(where, str) else where)} == {"parquet"}


@dataclass(frozen=True)
class Ends:
    """The first and the last rows of some files, as files."""

    first: Path
    last: Path | None

    @property
    def paths(self) -> list[str]:
        return [str(path) for path in (self.first, self.last) if path is not None]


@dataclass(frozen=True)
class Files:
    """Files without footers.

    Parameters
    ----------
    names : list of str
        Paths and patterns, as given.
    options : Options
        Those of the scan; the types of `options.schema` are those of the probe.
    """

    names: list[str]
    options: Options

    @property
    def paths(self) -> list[str]:
        """Each file once, in order.

        Raises
        ------
        InputError
            If one is missing or not local.
        """
        from glob import glob

        for name in self.names:
            if is_remote(name):
                raise InputError(f"{name}: a plan reads local files; accepted are local paths and patterns")
        found = itertools.chain.from_iterable(sorted(glob(name, recursive=True)) or [name] for name in self.names)  # noqa: PTH207 - a pattern may be absolute
        paths = list(dict.fromkeys(found))
        for path in paths:
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file")
        return paths

    @property
    def kind(self) -> str:
        """The format of all of them.

        Raises
        ------
        UsageError
            If they are of several.
        """
        kinds = sorted({_kind(path) for path in self.names})
        if len(kinds) > 1:
            raise UsageError(f"paths of {' and '.join(kinds)} in one call; give files of one format")
        return kinds[0]

    @property
    def plain(self) -> bool:
        """Whether lines can be taken from the bytes."""
        packed = any(Path(path).suffix.lower() in _COMPRESSED for path in self.paths)
        return self.kind in _TEXT.values() and not packed

    @property
    def bytes(self) -> int:
        """Stored bytes of all files."""
        return sum(Path(path).stat().st_size for path in self.paths)

    def share(self, paths: Sequence[str]) -> float:
        """Share of the rows that files of :meth:`ends` hold."""
        if self.plain:
            return sum(Path(path).stat().st_size for path in paths) / max(1, self.bytes)
        return min(1.0, len(paths) * PROBED_ROWS / max(1, self.rows()))

    def rows(self) -> int:
        """Rows of all files: told from the first bytes of each where they are plain text, else counted."""
        import polars as pl

        if not self.plain:
            lazy = _guard(lambda: _scan(self.kind, self.paths, {}, {}), self.paths)
            with small_chunks():
                return int(_guard(lambda: lazy.select(pl.len()).collect(engine="streaming").item(), self.paths))
        total = 0.0
        for path in self.paths:
            size = Path(path).stat().st_size
            with Path(path).open("rb") as file:
                header = 0 if self.kind == "ndjson" else len(file.readline())
                head = file.read(PROBED_BYTES)
            whole = header + len(head) >= size
            if whole:
                total += head.count(b"\n") + (head != b"" and not head.endswith(b"\n"))
            else:
                total += head.count(b"\n") * (size - header) / len(head)
        return round(total)

    def ends(self, folder: Path) -> Ends:
        """Write the first and the last rows into a folder; a small table is its first rows alone."""
        folder.mkdir(parents=True)
        return self._lines(folder) if self.plain else self._slices(folder)

    @contextlib.contextmanager
    def named(self, folder: Path) -> Iterator[None]:
        """Errors speak of the files as given, not of their ends in a folder."""
        try:
            yield
        except TidegaugeError as error:
            paths = self.paths
            told = str(error)
            for found in re.findall(re.escape(str(folder)) + r"[^:,;'\"]*", told):
                told = told.replace(found, paths[-1] if "/last." in found else paths[0])
            raise type(error)(told) from None

    def _lines(self, folder: Path) -> Ends:
        paths = [Path(path) for path in self.paths]
        suffix = paths[0].suffix
        first, last = folder / f"first{suffix}", folder / f"last{suffix}"
        header = b""
        with paths[0].open("rb") as file:
            head = file.read(PROBED_BYTES)
            # To the end of a line, so that none is cut.
            head += file.readline()
        if self.kind != "ndjson":
            header = head.partition(b"\n")[0] + b"\n"
        first.write_bytes(head)
        size = paths[-1].stat().st_size
        begin = max(0 if len(paths) > 1 else len(head), size - PROBED_BYTES)
        if begin >= size:
            return Ends(first, None)
        with paths[-1].open("rb") as file:
            file.seek(begin)
            if begin and not (len(paths) == 1 and begin == len(head)):
                file.readline()
            tail = file.read()
        if not begin:
            header = b""
        last.write_bytes(header + tail)
        return Ends(first, last)

    def _slices(self, folder: Path) -> Ends:
        import polars as pl

        rows = self.rows()
        lazy = _scan(self.kind, self.paths, self.options.schema or {}, {})
        first, last = folder / "first.arrow", folder / "last.arrow"
        with small_chunks():
            _guard(lambda: lazy.head(PROBED_ROWS), self.paths).collect().write_ipc(first)
            at = max(PROBED_ROWS, rows - PROBED_ROWS)
            if at >= rows:
                return Ends(first, None)
            _guard(lambda: pl.DataFrame(lazy.slice(at).collect()), self.paths).write_ipc(last)
        return Ends(first, last)

    def told(self, *, against: bool) -> dict[str, Any]:
        """Files, rows and columns, as :func:`tidegauge._plan.footers` tells those of Parquet."""
        import tempfile

        from tidegauge._profile import scan

        sizes = [{"path": path, "bytes": Path(path).stat().st_size} for path in self.paths]
        # Options of a run may name columns by their roles, which are profiled with all others here.
        options = replace(self.options, digests=False, threads=1, by=(), window=None, source_id="probe")
        if not self.plain:
            options = replace(options, schema=None)
        with tempfile.TemporaryDirectory() as folder:
            first = str(self.ends(Path(folder) / "ends").first)
            kind = "ipc" if first.endswith(".arrow") else self.kind
            with self.named(Path(folder)):
                schema = _guard(lambda: _scan(kind, [first], options.schema or {}, {}).collect_schema(), [first])
                info = scan(first, replace(options, where=None, since=None, until=None)).info
        logical = {column["name"]: column["logical"] for column in info["columns"]}
        problems = {problem["name"]: problem["message"] for problem in info["problems"]}
        columns = [
            {
                "name": name, "physical": str(dtype), "logical": logical.get(name),
                "not_profiled": problems.get(name) if name not in logical else None,
                "role": self.options.roles.get(name), "scanned": name in logical, "bytes": None,
            }
            for name, dtype in schema.items()
        ]  # fmt: skip
        passes = 1 if against else 2
        return {
            "files": sizes,
            "row_groups": None,
            "rows": self.rows(),
            "rows_estimated": self.plain,
            "columns": columns,
            "passes": passes,
            "bytes_to_read": passes * self.bytes,
        }
