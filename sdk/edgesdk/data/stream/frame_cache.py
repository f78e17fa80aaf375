"""Prepared pictures for a second pass: as many in memory as is allowed, the rest in a file, the rest not at all.

What came first stays. A pass goes through all pictures once, so whichever are kept, as many are found; a cache that
made room for the newest would throw each away before it is asked for again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.data.stream.frame_file import MOST_BYTES, FrameFile
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file an array lies, and what it is."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class FrameCache:
    """Arrays by key; safe to use from several threads.

    Args:
        memory_bytes: at most so much is kept in memory.
        disk_bytes: and so much in the file, which takes no more than it leaves free, and lies on no file system in memory.
        folder: of the file; the system's for temporary files unless given.
    """

    def __init__(
        self, memory_bytes: int = 256 << 20, disk_bytes: int = MOST_BYTES, *, folder: Path | None = None
    ) -> None:
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._held: dict[str, Array] = {}
        self._places: dict[str, _Place] = {}
        self._file = FrameFile(folder, disk_bytes)
        self.bytes_in_memory = 0

    @property
    def bytes_on_disk(self) -> int:
        """How large the file is."""
        return self._file.bytes

    def __len__(self) -> int:
        return len(self._held) + len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._held or key in self._places

    def get(self, key: str) -> Array | None:
        """Return what is kept of a key: read it only; None where nothing is."""
        held = self._held.get(key)
        if held is not None:
            return held
        place = self._places.get(key)
        if place is None:
            return None
        out = np.empty(place.shape, place.dtype)
        return out if self._file.read(out, place.offset) else None

    def put(self, key: str, array: Array) -> None:
        """Keep an array if there is room for it; a full disk is no error, it only ends the keeping."""
        size = array.nbytes
        with self._lock:
            if not size or key in self:
                return
            if self.bytes_in_memory + size <= self._memory_bytes:
                self.bytes_in_memory += size
                self._held[key] = array
                return
            offset = self._file.take(size)
        if offset is not None and self._file.write(array, offset):
            self._places[key] = _Place(offset, array.shape, array.dtype)

    def close(self) -> None:
        """Give memory and disk back."""
        self._held.clear()
        self._places.clear()
        self._file.close()
