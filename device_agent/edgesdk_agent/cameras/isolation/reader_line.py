"""What a camera's reader and its process say to each other: one JSON object a message, files beside it.

The address of the camera travels here and nowhere else: a process's arguments can be read by everybody.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

_LONGEST = 1 << 16


class LineClosed(Exception):
    """The other side is gone."""


class ReaderLine:
    """One end of the line: messages stay whole, and come in order.

    Args:
        end: of a pair of `SOCK_SEQPACKET` sockets.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, message: dict[str, Any], files: Sequence[int] = ()) -> None:
        """Send a message, with open files where there are any.

        Raises:
            LineClosed: the other side is gone.
        """
        data = json.dumps(message).encode()
        try:
            if files:
                socket.send_fds(self._socket, [data], list(files))
            else:
                self._socket.send(data)
        except OSError as error:
            raise LineClosed from error

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], list[int]]:
        """Wait for a message, and return it with its files.

        Raises:
            LineClosed: the other side is gone.
            TimeoutError: none came in time.
        """
        try:
            self._socket.settimeout(timeout_s)
            data, files, _, _ = socket.recv_fds(self._socket, _LONGEST, 1)
        except TimeoutError:
            raise
        except OSError as error:
            raise LineClosed from error
        if not data:
            raise LineClosed
        message: dict[str, Any] = json.loads(data)
        return message, files

    def shut(self) -> None:
        """Tell the other side that it is over; wakes a waiting `receive` here and there."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is gone already
            return

    def close(self) -> None:
        self._socket.close()
