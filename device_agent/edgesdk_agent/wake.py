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

    def fileno(self) -> int:
        return self._reader.fileno()

    def set(self) -> None:
        """Make the poll return, now or when it begins; from any thread, also after `close`."""
        # A full pair is a signal already given, and a closed one has nobody waiting.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Take the signal back; only by the thread that waits. Of very many, what is left makes the next poll return."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
