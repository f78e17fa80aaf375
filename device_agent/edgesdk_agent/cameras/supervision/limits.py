"""When a live camera counts as silent, frozen or slow, and how often it is opened again.

The times hold for an ordinary camera; a slow one is given as many of its own frames instead. A rule of so many seconds
alone restarts a camera of one frame a minute for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesdk_targets.errors import InputError

# Where these take longer than the seconds do, they count.
SILENT_FRAMES = 5
FROZEN_FRAMES = 10
RATE_FRAMES = 20
_RATE_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class SupervisionLimits:
    """What a live camera is held to.

    Attributes:
        silent_after_s: without a picture, or for five frames at its rate, whichever is longer: it is opened again.
        frozen_after_s: of the very same picture, or ten frames, whichever is longer: likewise; 0 never. Longer than between
            two key frames: of a still scene, a codec that saves may send nothing in between.
        slow_below: share of the expected rate under which it counts as degraded; 0 never.
        attempts: to open it again, before it counts as offline.
        retry_most_s: the longest wait between those attempts; the first is half a second.
        offline_retry_s: the wait between attempts once it is offline.
        steady_after_s: of pictures, until all attempts are there again.
        keep_trying: whether it is tried on when it is offline; otherwise it is given up.

    Raises:
        InputError: a number makes no sense.
    """

    silent_after_s: float = 5.0
    frozen_after_s: float = 60.0
    slow_below: float = 0.5
    attempts: int = 5
    retry_most_s: float = 30.0
    offline_retry_s: float = 60.0
    steady_after_s: float = 10.0
    keep_trying: bool = False

    def __post_init__(self) -> None:
        numbers = (self.silent_after_s, self.retry_most_s, self.offline_retry_s)
        # Written so that NaN is refused too.
        if not all(0 < number < math.inf for number in numbers):
            raise InputError(
                "silent_after_s, retry_most_s and offline_retry_s must be above 0.", hint="Leave them out for defaults."
            )
        if not (self.frozen_after_s >= 0 and self.steady_after_s >= 0 and 0 <= self.slow_below < 1):
            raise InputError("frozen_after_s and slow_below cannot be negative, nor slow_below 1 or more.")
        if self.attempts < 0:
            raise InputError(f"There cannot be {self.attempts} attempts.", hint="0 gives a lost camera up at once.")

    def silent_s(self, fps: float | None) -> float:
        """Return how long to wait for a picture of a camera of this rate, frames a second."""
        return max(self.silent_after_s, SILENT_FRAMES / fps if fps else 0.0)

    def frozen_s(self, fps: float | None) -> float:
        """Return for how long one picture may be shown by a camera of this rate."""
        if not self.frozen_after_s:
            return math.inf
        return max(self.frozen_after_s, FROZEN_FRAMES / fps if fps else 0.0)

    def rate_window_s(self, fps: float | None) -> float:
        """Return over how long the rate of such a camera is measured."""
        return max(_RATE_WINDOW_S, RATE_FRAMES / fps if fps else 0.0)
