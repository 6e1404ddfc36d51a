"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system name a file also where it is already open, as on a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_all(outputs: Sequence[tuple[Path, bytes]]) -> None:
    """Write every file under a temporary name beside its place, then rename them all.

    Each file is flushed to disk before its rename and its folder after it, so that a crash leaves
    either the old content or the new. Missing folders are created. If any write raises, no rename
    has happened and the temporary files are gone.

    Parameters
    ----------
    outputs : sequence of (path, content)

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    staged: list[tuple[Path, Path]] = []
    # mkstemp gives 0o600; readers of a report expect what `open` would have given.
    mask = os.umask(0)
    os.umask(mask)
    try:
        for path, content in outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
            staged.append((Path(name), path))
            with naming(path), os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o666 & ~mask)
        for temporary, path in staged:
            temporary.replace(path)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    for folder in {path.parent for path, _ in outputs}:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
