"""Prepared pictures for a second pass: as many in memory as is allowed, the rest in a file, the rest not at all.

What came first stays. A pass goes through all pictures once, so whichever are kept, as many are found; a cache that
made room for the newest would throw each away before it is asked for again. The file has no name: it goes with the
process, whatever ends it, and nobody else can write to it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

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
        memory_bytes, disk_bytes: at most so much is kept in memory, and in the file.
    """

    def __init__(self, memory_bytes: int = 256 << 20, disk_bytes: int = 16 << 30) -> None:
        self._memory_bytes, self._disk_bytes = memory_bytes, disk_bytes
        self._lock = threading.Lock()
        self._held: dict[str, Array] = {}
        self._places: dict[str, _Place] = {}
        self._file: BinaryIO | None = None
        self.bytes_in_memory = 0
        self.bytes_on_disk = 0

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
        if place is None or self._file is None:
            return None
        out = np.empty(place.shape, place.dtype)
        view = out.data.cast("B")
        done = 0
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], place.offset + done)
            if not got:
                return None
            done += got
        return out

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
            if self.bytes_on_disk + size > self._disk_bytes:
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="edgesdk-frames-")  # noqa: SIM115  (as long as this object)
            offset = self.bytes_on_disk
            self.bytes_on_disk += size
        if self._write(np.ascontiguousarray(array), offset):
            self._places[key] = _Place(offset, array.shape, array.dtype)

    def close(self) -> None:
        """Give memory and disk back."""
        self._held.clear()
        self._places.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, array: Array, offset: int) -> bool:
        assert self._file is not None  # noqa: S101  (opened by `put`)
        view = array.data.cast("B")
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._file.fileno(), view[done:], offset + done)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            self._disk_bytes = 0
            return False
        return True
