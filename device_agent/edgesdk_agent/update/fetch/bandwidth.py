"""How fast bytes may come: so many a second, with a second's worth at once. Pure but for the clock and the wait it is given."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bandwidth:
    """A budget of bytes.

    Args:
        bytes_per_s: None for as many as come.
        wait: sleeps so many seconds, and raises where it is woken to stop.
    """

    def __init__(
        self,
        bytes_per_s: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._wait = bytes_per_s, clock, wait
        self._left = float(bytes_per_s or 0)
        self._at = clock()

    def take(self, count: int) -> None:
        """Take `count` bytes out of the budget, and wait until it is no longer overdrawn."""
        if self._rate is None:
            return
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, float(self._rate)) - count
        self._at = now
        if self._left < 0:
            self._wait(-self._left / self._rate)
