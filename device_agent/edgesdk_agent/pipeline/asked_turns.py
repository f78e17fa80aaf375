"""Whose turn it is to prepare, of the cameras that have had their answer: the first one's, of those that have room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.camera_line import CameraLine


class AskedTurns:
    """Let cameras wait in the order of their answers, and wake the one that may go; all methods are called with the lock held.

    Args:
        lines: of the cameras; one thread of each waits here.
        lock: given up while waiting.
        has_room: says whether a camera's picture could be prepared now.
    """

    def __init__(
        self, lines: Iterable[CameraLine], lock: threading.Lock, has_room: Callable[[CameraLine], bool]
    ) -> None:
        self._bells = {line: Bell(lock) for line in lines}
        self._has_room = has_room
        self._waiting: list[CameraLine] = []

    def come(self, line: CameraLine) -> None:
        """Note that a camera has its answer."""
        self._waiting.append(line)

    def leave(self, line: CameraLine) -> None:
        """Note that a camera has a slot, or wants none any more."""
        self._waiting.remove(line)

    def first(self) -> CameraLine | None:
        """Return the camera that has waited for longest, of those that have room."""
        for line in self._waiting:
            if self._has_room(line):
                return line
        return None

    def wait(self, line: CameraLine) -> None:
        """Wait until it may be this camera's turn; it may also be woken for nothing."""
        self._bells[line].wait()

    def wake(self, line: CameraLine) -> None:
        """Wake this camera's thread, if it waits."""
        self._bells[line].wake_one()

    def wake_one(self) -> None:
        """Wake the camera whose turn it is, if there is one."""
        first = self.first()
        if first is not None:
            self._bells[first].wake_one()

    def wake_all(self) -> None:
        """Wake all, as there is an end."""
        for line in self._waiting:
            self._bells[line].wake_one()
