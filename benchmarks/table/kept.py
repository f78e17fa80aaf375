"""What is finished, in files, so that a run that was broken off goes on where it was.

Each part is kept with its key: a hash of all that it depends on. A part whose key is no longer the same is stale; it is
made again by the phase it belongs to, and until then it still tells how long it will take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One finished part.

    Attributes:
        content: JSON.
        key: what it depended on when it was made.
        seconds: how long it took.
    """

    content: dict[str, Any]
    key: str
    seconds: float


class Kept:
    """Finished parts in a folder, one file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, phase: str, name: str) -> Part | None:
        """Return a part, stale or not; None where it was never made, or its file is damaged."""
        try:
            document = json.loads(self._path(phase, name).read_text("utf-8"))
            return Part(document["content"], document["key"], document["seconds"])
        except (OSError, ValueError, KeyError):
            return None

    def fresh(self, phase: str, name: str, key: str) -> dict[str, Any] | None:
        """Return a part's content if it was made with this key."""
        part = self.find(phase, name)
        return part.content if part is not None and part.key == key else None

    def put(self, phase: str, name: str, key: str, content: Mapping[str, Any], seconds: float) -> None:
        """Keep a part, whole or not at all."""
        path = self._path(phase, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"key": key, "seconds": round(seconds, 1), "content": content}), "utf-8")
        partial.replace(path)

    def _path(self, phase: str, name: str) -> Path:
        return self._folder / phase / f"{name}.json"
