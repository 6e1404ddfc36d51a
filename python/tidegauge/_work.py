"""Checkpoints of a run: profiles of finished units, kept beside its outputs until it ends.

A checkpoint is a profile file, replaced atomically, of the units that are done. States are canonical, so a
run that goes on from one ends with the bytes of a run that was never stopped. Digests of what was read are in
it too. Its name holds a digest of everything that shapes the profile, the identity of every file included: what
does not fit is not found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import naming
from tidegauge._profile import Options, Profile, scan
from tidegauge.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidegauge._profile import Progress

#: Name of the folder of checkpoints, beside the first output.
FOLDER = ".tidegauge"
#: Least seconds between two checkpoints, where no other number was chosen.
EVERY = 10.0
#: The most of the time since the last checkpoint that writing another one may take then.
SHARE = 0.02


@dataclass
class Work:
    """The checkpoints of one run.

    Parameters
    ----------
    folder : Path or None
        Where they lie; made with the first one. None keeps nothing.
    run : str
        Tells the runs apart that share a folder: equal for equal configurations.
    every : float or None
        Seconds between two of them, and of work before the first, whatever writing takes. None: :data:`EVERY`, or
        as many more as keep writing to :data:`SHARE` of the time.
    """

    folder: Path | None
    run: str
    every: float | None
    resume: bool = True

    def reference(self, data: Any, options: Options, progress: Progress | None) -> Profile:
        """Profile the reference, or take it from a run that was stopped after it.

        It takes several passes over the same rows, which are not kept one by one: a reference that was not
        finished begins anew.
        """
        path = self._path("reference", data, options, None)
        found = self._load(path, options)
        if found is not None:
            return Profile(found._core, inputs=[data] if isinstance(data, str) else data, options=options)
        began = time.monotonic()
        made = scan(data, options, progress=progress)
        if path is not None and time.monotonic() - began >= (EVERY if self.every is None else self.every):
            self._keep(path, made.to_bytes())
        return made

    def current(self, data: Any, options: Options, reference: Profile, progress: Progress | None) -> Profile:
        """Profile the current data part by part, from where a stopped run ended."""
        path = self._path("current", data, options, reference.digest)
        weighs = {"weight", "frequency"} & {*options.roles.values(), *reference.info["roles"].values()}
        if path is None or weighs:
            # A note on weights tells of all rows at once; such a table is scanned in one go.
            return scan(data, options, like=reference, progress=progress)
        return self._parts(path, data, options, reference, progress, None)

    def some(
        self, data: list[str], options: Options, reference: Profile, progress: Progress | None, only: Sequence[str]
    ) -> Profile:
        """Profile some units of local Parquet files part by part."""
        assert self.folder is not None
        path = self.folder / f"{self.run}-current-{self._key(list(only), options, reference.digest)}.tgp"
        return self._parts(path, data, options, reference, progress, only)

    def _parts(
        self,
        path: Path,
        data: Any,
        options: Options,
        reference: Profile,
        progress: Progress | None,
        only: Sequence[str] | None,
    ) -> Profile:
        begun = self._load(path, options)
        pace = (EVERY, SHARE) if self.every is None else (self.every, 1.0)
        parts = Parts(lambda made: self._keep(path, made), *pace, begun=begun, only=only)
        return scan(data, options, like=reference, progress=progress, parts=parts)

    def kept(self, store: str | None) -> str | None:
        """What a run that ends now leaves to the next one, in words."""
        if self.folder is not None and any(self.folder.glob(f"{self.run}-*")):
            return "a checkpoint is kept"
        if store is not None and any(Path(store).glob("parts/*")):
            return "the store keeps what was scanned"
        return None

    def done(self) -> None:
        """Drop the checkpoints: the outputs are there."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.glob(f"{self.run}-*"):
            path.unlink(missing_ok=True)
        self._tidy()
        try:
            self.folder.rmdir()
        except OSError:
            return  # another run's checkpoints are there

    def _path(self, side: str, data: Any, options: Options, reference: str | None) -> Path | None:
        if self.folder is None:
            return None
        files = identify(data, options)
        return None if files is None else self.folder / f"{self.run}-{side}-{self._key(files, options, reference)}.tgp"

    def _key(self, files: Any, options: Options, reference: str | None) -> str:
        content = {
            "version": _core.__version__,
            "files": files,
            "options": options.semantic(),
            "bad": options.max_bad_units,
            "digests": options.digests,
            "reference": reference,
        }
        return _core.blake3(json.dumps(content, sort_keys=True).encode())[3:19]

    def _load(self, path: Path | None, options: Options) -> Profile | None:
        if path is None or self.folder is None or not self.folder.is_dir():
            return None
        side = path.name.removeprefix(f"{self.run}-").partition("-")[0]
        for other in self.folder.glob(f"{self.run}-{side}-*"):
            # Of other files or options: it will not be asked for again.
            if other != path or not self.resume:
                other.unlink(missing_ok=True)
        self._tidy()
        try:
            core = _core.Profile.from_bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, FormatError):
            # Damaged after it was written: as if it were not there.
            path.unlink(missing_ok=True)
            return None
        return Profile(core, options=options)

    def _tidy(self) -> None:
        """Remove what killed processes were writing."""
        assert self.folder is not None
        for left in self.folder.glob(f".{self.run}-*.tmp"):
            if not _runs(int(left.suffixes[-2][1:])):
                left.unlink(missing_ok=True)

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            write_checkpoint(path, content)
        except OSError:
            raise
        except BaseException:
            # A signal came while it was written, which is what it is for.
            write_checkpoint(path, content)
            raise


def give_back() -> None:
    """Return memory that is free to the system, where the allocator keeps it.

    Scans and joins of many files leave free blocks between those that stay, so that what comes next would need as much
    more: the peak of a run would grow with its files (docs/performance.md).
    """
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def write_checkpoint(path: Path, content: bytes) -> None:
    """Replace a file by another whole one; the temporary file names the process that writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@dataclass(frozen=True)
class Parts:
    """How :func:`tidegauge._profile.scan` goes part by part; only local Parquet without a row filter does."""

    keep: Callable[[bytes], None]
    every: float
    #: The most of the time since the last call of `keep` that another one may take; 1 calls it whatever it takes.
    share: float = 1.0
    begun: Profile | None = None
    only: Sequence[str] | None = None


def identify(data: Any, options: Options) -> list[list[Any]] | None:
    """Path, size and time of change of every local Parquet file; None for anything else.

    Files read through Polars come in one go, and nothing is kept of them.
    """
    from tidegauge.sources import _kind, is_remote

    names = [data] if isinstance(data, (str, os.PathLike)) else data
    if not isinstance(names, list) or not all(isinstance(name, (str, os.PathLike)) for name in names):
        return None
    texts = [os.fspath(name) for name in names]
    filtered = not (options.where is None and options.since is None and options.until is None)
    if filtered or any(is_remote(name) or _kind(name) != "parquet" for name in texts):
        return None
    files = json.loads(_core.list_files(texts))
    try:
        return [[file["path"], file["bytes"], Path(file["path"]).stat().st_mtime_ns] for file in files]
    except OSError:
        return None  # a name that is no UTF-8, or a file that went: the scan says what is wrong
