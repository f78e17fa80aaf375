"""Some of the disk is kept in hand: given up where it is full, it is enough to save which numbers are in use for days.

Without that an agent on a full disk would run out of numbers that are safe to use, and could send nothing any more.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_BYTES = 64 << 10


class Room:
    """A file of no use but its size; its methods never raise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = path.exists()

    def take(self) -> None:
        """Keep the room, if it is not kept yet and there is any."""
        if self._taken:
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                # Blocks without content: nothing is written to a card but their place.
                os.posix_fallocate(handle, 0, _BYTES)
            finally:
                os.close(handle)
            self._taken = True
        except (OSError, AttributeError):
            self.give()

    def give(self) -> bool:
        """Give it up; tell whether there was any."""
        had, self._taken = self._taken, False
        with contextlib.suppress(OSError):
            self._path.unlink()
        return had
