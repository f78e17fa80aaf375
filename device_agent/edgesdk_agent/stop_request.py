"""The wish that the agent stops, which whoever does something else than wait for it can be told of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StopRequest(threading.Event):
    """An event that calls back when it is set."""

    def __init__(self) -> None:
        super().__init__()
        self._told: tuple[Callable[[], None], ...] = ()

    def set(self) -> None:
        """Ask for the stop; signal handlers do."""
        super().set()
        for tell in self._told:
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call `tell` on a stop that comes within the block, and at its beginning where one came before.

        Args:
            tell: runs in whatever the signal interrupted, so that it may wait for no lock; perhaps more than once.
        """
        self._told = (*self._told, tell)
        try:
            if self.is_set():
                tell()
            yield
        finally:
            self._told = tuple(one for one in self._told if one is not tell)
