"""How much pictures and clips write, to disk and to memory: since the start, and on this day (UTC)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

_DAY_S = 86_400


class WrittenBytes:
    """Count bytes; any thread may.

    Args:
        wall: seconds since 1970.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._day = self._today()
        self._counts = {"disk_bytes": 0, "disk_bytes_today": 0, "memory_bytes": 0, "memory_bytes_today": 0}

    def add(self, count: int, *, in_memory: bool = False) -> None:
        """Note that so many bytes were written."""
        where = "memory_bytes" if in_memory else "disk_bytes"
        with self._lock:
            self._begin_day()
            self._counts[where] += count
            self._counts[f"{where}_today"] += count

    def counts(self) -> Mapping[str, int]:
        """Return bytes to disk and to file systems in memory, since the start and since midnight (UTC)."""
        with self._lock:
            self._begin_day()
            return dict(self._counts)

    def _begin_day(self) -> None:
        today = self._today()
        if today != self._day:
            self._day = today
            self._counts["disk_bytes_today"] = self._counts["memory_bytes_today"] = 0

    def _today(self) -> int:
        return int(self._wall() // _DAY_S)
