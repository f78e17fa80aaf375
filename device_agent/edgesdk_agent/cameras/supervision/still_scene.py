"""When to open a camera again whose picture stands still: at once the first time, and then ever more seldom.

An encoder that hangs comes back with its camera's connection; a still scene without noise, such as a test pattern or
a dark room, stays the same, and opening it again and again would do harm for nothing.
"""

from __future__ import annotations

_LONGEST_S = 3600.0
# Pictures that change for this many of the last waits were a real recovery.
_RECOVERED = 4


class StillScene:
    """Waits between the restarts of a camera that is frozen."""

    def __init__(self) -> None:
        self.is_new = True
        self._wait_s = 0.0
        self._tried_at = 0.0

    def moves(self, at: float) -> None:
        """Note a picture that is another than before, seconds of the monotonic clock."""
        self.is_new = True
        if self._wait_s and at - self._tried_at > _RECOVERED * self._wait_s:
            self._wait_s = 0.0

    def try_again(self, at: float, frozen_s: float) -> bool:
        """Say whether a frozen camera is to be opened again now."""
        self.is_new = False
        if self._wait_s and at - self._tried_at < self._wait_s:
            return False
        self._wait_s = min(_LONGEST_S, max(2 * self._wait_s, 2 * frozen_s))
        self._tried_at = at
        return True
