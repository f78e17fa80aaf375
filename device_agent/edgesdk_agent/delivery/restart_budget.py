"""How often a hook's process may be started again: a few times, later each time, and afresh after a quiet while."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgesdk_agent.backoff import Backoff


class RestartBudget:
    """Says how long to wait before the next start, or that there is none.

    Args:
        restarts: that may follow each other.
        refilled_after_s: without an ending, all restarts are there again.
        backoff: the delays.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        restarts: int = 5,
        refilled_after_s: float = 60.0,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._restarts = restarts
        self._refilled_after_s = refilled_after_s
        self._backoff = backoff or Backoff(first_s=0.25, limit_s=10.0)
        self._clock = clock
        self._used = 0
        self._last = clock()

    def spend(self) -> float | None:
        """Return the seconds to wait before the next start, or None when there were too many."""
        now = self._clock()
        if now - self._last >= self._refilled_after_s:
            self._used = 0
            self._backoff.reset()
        self._last = now
        self._used += 1
        return self._backoff.next_s() if self._used <= self._restarts else None
