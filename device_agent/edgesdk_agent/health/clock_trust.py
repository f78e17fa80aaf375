"""Whether the wall clock can be believed: not before this software was made, and not where it jumps.

A Raspberry Pi has no clock that runs without power: it starts in 1970, or where it was switched off, until a time server
answers. Ages and rates are measured by the monotonic clock and stay right; only times in reports are concerned.
"""

from __future__ import annotations

import threading
import time

from edgesdk_agent.health.facts import ClockFacts

# 2026-01-01: no device with this software can live before it. A clock that far ahead is as wrong.
_MADE_AT = 1_767_225_600.0
_TOO_FAR_S = 50 * 365.25 * 86400
# A step of the clock below this is what time servers do every day.
_STEP_S = 2.0


class ClockTrust:
    """Compare the wall clock with the monotonic one, reading by reading.

    Args:
        step_s: how far both may part between two readings.
        settle_s: how long the clock must run evenly after a step before it is believed again.
    """

    def __init__(self, *, step_s: float = _STEP_S, settle_s: float = 60.0) -> None:
        self._step_s = step_s
        self._settle_s = settle_s
        self._offset: float | None = None
        self._stepped_at: float | None = None
        self._step = 0.0
        self._lock = threading.Lock()
        self.steps = 0

    def read(self, wall: float, monotonic: float) -> ClockFacts:
        """Judge a pair of readings, taken together.

        Args:
            wall: seconds since 1970.
            monotonic: seconds of the monotonic clock.
        """
        with self._lock:
            return self._judged(wall, monotonic)

    def now(self) -> bool:
        """Say whether the wall clock can be believed at this moment; any thread may ask."""
        return self.read(time.time(), time.monotonic()).trusted

    def _judged(self, wall: float, monotonic: float) -> ClockFacts:
        offset = wall - monotonic
        before, self._offset = self._offset, offset
        if before is not None and abs(offset - before) > self._step_s:
            self._stepped_at, self._step = monotonic, offset - before
            self.steps += 1
        if wall < _MADE_AT:
            return ClockFacts(
                trusted=False, reason="The clock says a time before this software was made; it is not set."
            )
        if wall > _MADE_AT + _TOO_FAR_S:
            return ClockFacts(trusted=False, reason="The clock says a time in the far future.")
        if self._stepped_at is not None and monotonic - self._stepped_at < self._settle_s:
            return ClockFacts(trusted=False, reason=f"The clock was set by {self._step:+.0f} s a moment ago.")
        return ClockFacts(trusted=True)
