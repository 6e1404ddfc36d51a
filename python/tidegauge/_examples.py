"""Real prediction logs that ship with the source tree, for ``tidegauge demo``."""

from __future__ import annotations

from pathlib import Path

from tidegauge.errors import InputError, UsageError

CONFIGURATION = "tidegauge.toml"


def find(folder: str | Path | None = None) -> Path:
    """The folder of examples: as given, else ``examples/`` here or beside the package's source.

    Raises
    ------
    InputError
        If there is none.
    """
    package = Path(__file__).resolve().parent
    # python/tidegauge/_examples.py lies two folders below the source tree.
    candidates = [Path(folder)] if folder is not None else [Path("examples"), package.parents[1] / "examples"]
    for candidate in candidates:
        if any(candidate.glob(f"*/{CONFIGURATION}")):
            return candidate
    told = " or ".join(map(str, candidates))
    raise InputError(f"no examples in {told}; give --dir, the folder examples/ of a source tree")


def choose(folder: Path, name: str) -> Path:
    """The configuration of one example.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    path = folder / name / CONFIGURATION
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in folder.glob(f"*/{CONFIGURATION}")))
        raise UsageError(f"example {name!r}; accepted are {known}")
    return path
