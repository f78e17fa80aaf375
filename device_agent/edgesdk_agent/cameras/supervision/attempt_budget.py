"""How many attempts a lost camera has left, when the next one is due, and how long a camera may be silent.

Attempts come later and later, spread by chance, and are all there again once pictures have come for a while: a camera
that comes and goes is kept, and one that flaps is not opened for ever in a hurry.
"""

from __future__ import annotations

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits

_FIRST_RETRY_S = 0.5
# A camera that was silent again before it sent so many pictures is given twice the time, up to so many times.
_SETTLED_PICTURES = 20
_MOST_PATIENCE = 16.0


class AttemptBudget:
    """The attempts of one camera.

    Args:
        limits: what it is held to.
        backoff: how long to wait before each attempt, while there are some left.

    Attributes:
        patience: by how much longer than usual the camera may be silent.
    """

    def __init__(self, limits: SupervisionLimits, backoff: Backoff | None = None) -> None:
        self.patience = 1.0
        self._limits = limits
        self._backoff = backoff or Backoff(_FIRST_RETRY_S, limits.retry_most_s)
        self._slow_retry = Backoff(limits.offline_retry_s, limits.offline_retry_s)
        self._failed = 0
        self._steady_from: float | None = None
        self._pictures = 0

    @property
    def spent(self) -> bool:
        """Whether no quick attempt is left."""
        return self._failed >= self._limits.attempts

    def picture(self, at: float) -> None:
        """Note a picture, seconds of the monotonic clock."""
        self._pictures += 1
        if self._steady_from is None:
            self._steady_from = at
        if self._failed and at - self._steady_from >= self._limits.steady_after_s:
            self._failed = 0
            self._backoff.reset()

    def lost(self, *, silent: bool) -> None:
        """Note a loss, and whether it was found by waiting in vain."""
        settled = self._pictures >= _SETTLED_PICTURES
        self.patience = min(_MOST_PATIENCE, 2 * self.patience) if silent and not settled else 1.0

    def begin_again(self) -> None:
        """Note that the camera is being opened again: pictures are counted from there."""
        self._steady_from, self._pictures = None, 0

    def free_wait_s(self) -> tuple[float, str]:
        """Return the same of an attempt that is not counted."""
        return _FIRST_RETRY_S, "It is opened again"

    def next_wait_s(self) -> tuple[float, str]:
        """Count one more attempt, and return how long to wait before it, and which it is, in words."""
        spent = self.spent
        delay = (self._slow_retry if spent else self._backoff).next_s()
        self._failed += 1
        return delay, f"Attempt {self._failed}" + ("" if spent else f" of {self._limits.attempts}")
