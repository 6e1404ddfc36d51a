"""What every run asks of every part and every set of verdicts, in one file: runs cost the same however many there are.

Parts never change, so what was read of one once holds. The index is made of them, and made again where it is
missing or damaged: its name is the digest of its content. Only runs use it; what verifies a store reads the tables.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import write_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMAT = "tidegauge.index/1"
#: An index is written when so many are not in the last one.
_BEHIND = 16


@dataclass
class Index:
    """What was read of parts and sets of verdicts, by their places in the store."""

    #: Folder of the file; None keeps nothing.
    folder: Path | None
    known: dict[str, Any] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """The index in a folder; an empty one where there is none that is whole."""
        for path in sorted(folder.glob("index-*.json")):
            try:
                content = path.read_bytes()
                found = json.loads(content)
            except (OSError, ValueError):
                continue
            if _core.blake3(content)[3:19] == path.stem.removeprefix("index-") and found["format"] == FORMAT:
                return cls(folder, found["known"], set(found["known"]))
        return cls(folder)

    def of(self, place: str, read: Callable[[], Any]) -> Any:
        """What is known of a part or set, read where it is not."""
        if place not in self.known:
            self.known[place] = read()
        return self.known[place]

    def save(self) -> None:
        """Write the index where many are not in it yet."""
        if self.folder is None or len(self.known.keys() - self._written) < _BEHIND:
            return
        content = json.dumps({"format": FORMAT, "known": self.known}, sort_keys=True, separators=(",", ":")).encode()
        path = self.folder / f"index-{_core.blake3(content)[3:19]}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_all([(path, content)])
        for other in self.folder.glob("index-*.json"):
            if other != path:
                other.unlink(missing_ok=True)
