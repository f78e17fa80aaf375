"""A condition that is cheap to signal when nobody waits, which on the way of a frame is the usual case."""

from __future__ import annotations

import threading


class Bell:
    """Wake threads that wait under a lock; all methods are called with the lock held.

    Args:
        lock: given up while waiting.
    """

    __slots__ = ("_condition", "_waiting")

    def __init__(self, lock: threading.Lock) -> None:
        self._condition = threading.Condition(lock)
        self._waiting = 0

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait to be woken, at most so long; it may also happen for nothing."""
        self._waiting += 1
        try:
            self._condition.wait(timeout_s)
        finally:
            self._waiting -= 1

    def wake_one(self) -> None:
        """Wake one thread, if any waits."""
        if self._waiting:
            self._condition.notify()

    def wake_all(self) -> None:
        """Wake every thread that waits."""
        if self._waiting:
            self._condition.notify_all()
