"""End another thread's wait on sockets."""

from __future__ import annotations

import contextlib
import socket


class Wake:
    """A signal that a poll can wait for; setting it twice is setting it once."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._given = False

    def fileno(self) -> int:
        return self._reader.fileno()

    def set(self) -> None:
        """Make the poll return, now or when it begins; from any thread, also after `close`."""
        if self._given:
            return
        self._given = True
        # A closed pair has nobody waiting.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Take the signal back; only by the thread that waits. Of very many, what is left makes the next poll return."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        # Last: else a signal that came in between would be taken, and count as given for ever. Who set it found no flag down, and
        # what he set it for is there already for the one who clears.
        self._given = False

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
