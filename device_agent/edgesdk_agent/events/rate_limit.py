"""At most so many in any minute."""

from __future__ import annotations

from collections import deque

_MINUTE_S = 60.0


class RateLimit:
    """Let through at most `per_minute` in any 60 seconds.

    Times may be set back, as when a film begins again: what was let through after them is forgotten.
    """

    def __init__(self, per_minute: int) -> None:
        self._passed: deque[float] = deque(maxlen=per_minute)

    def has_room(self, at: float) -> bool:
        """Tell whether one more may pass now, seconds of any clock."""
        while self._passed and self._passed[-1] > at:
            self._passed.pop()
        return len(self._passed) < (self._passed.maxlen or 0) or at - self._passed[0] >= _MINUTE_S

    def passed(self, at: float) -> None:
        """Note that one passed."""
        self._passed.append(at)
