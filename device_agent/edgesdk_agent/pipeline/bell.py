"""A condition that costs little on the way of a frame, where usually nobody waits, or one thread does.

`threading.Condition` asks at each call whether the lock is held, and makes a new lock for each wait: a fifth of all that a frame
cost around a model that costs nothing. Here a waiting thread sleeps on a lock of its own that is used again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol


class Wakes(Protocol):
    """Whoever may wait here, or elsewhere, is woken."""

    def wake_one(self) -> None:
        """Wake the thread that may go on, if one waits."""
        ...

    def wake_all(self) -> None:
        """Wake every thread that waits."""
        ...


class Bell:
    """Wake threads that wait under a lock, the first that came first; all methods are called with the lock held.

    Args:
        lock: given up while waiting.
    """

    __slots__ = ("_lock", "_sleepers", "_spare")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        # Each is locked: a thread that locks it once more sleeps until it is released.
        self._sleepers: deque[threading.Lock] = deque()
        self._spare: list[threading.Lock] = []

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait to be woken, at most so long; it may also happen for nothing."""
        sleeper = self._spare.pop() if self._spare else _locked()
        self._sleepers.append(sleeper)
        self._lock.release()
        woken = False
        try:
            woken = sleeper.acquire(timeout=-1 if timeout_s is None else timeout_s)
        finally:
            self._lock.acquire()
            if not woken:
                self._awake(sleeper)
            self._spare.append(sleeper)

    @property
    def is_waited_for(self) -> bool:
        """Whether a thread sleeps that nobody has woken yet."""
        return bool(self._sleepers)

    def wake_one(self) -> None:
        """Wake one thread, if any waits."""
        if self._sleepers:
            self._sleepers.popleft().release()

    def wake_all(self) -> None:
        """Wake every thread that waits."""
        while self._sleepers:
            self._sleepers.popleft().release()

    def _awake(self, sleeper: threading.Lock) -> None:
        # The time was over, or a signal came: at the same moment somebody may have woken it.
        if sleeper in self._sleepers:
            self._sleepers.remove(sleeper)
        else:
            sleeper.acquire(blocking=False)


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
