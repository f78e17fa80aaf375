"""Which frames are wanted of a camera that delivers more than the model is to see (`detect_fps`)."""

from __future__ import annotations

from edgesdk_targets.errors import InputError

# No frame comes this many intervals too early; a clock that was set back, or a film that began again, does.
_SET_BACK = 2.0
_MOST_FPS = 1000.0
_SETTLING = 1 / 8


class WantedFrames:
    """Choose frames by their times, evenly spaced: those next to the points of a grid, so that waver does not add up.

    Args:
        fps: how many are wanted a second; where fewer come, all are.

    Raises:
        InputError: `fps` is not within 0..1000.
    """

    def __init__(self, fps: float) -> None:
        if not 0 < fps <= _MOST_FPS:
            raise InputError(f"detect_fps cannot be {fps:g}.", hint="Give frames a second, such as 5 or 0.2.")
        self.fps = fps
        self._interval = 1 / fps
        self._due: float | None = None
        self._last: float | None = None
        self._gap = 0.0

    def take(self, at: float) -> bool:
        """Say whether the frame of time `at`, seconds of any clock, is wanted; call it once for each frame."""
        self._note_gap(at)
        late = 0.0 if self._due is None else at - self._due
        if self._due is None or late > self._interval or late < -_SET_BACK * self._interval:
            # The first one, one after a gap, which is not made up for, or a clock that begins anew.
            self._due = at + self._interval
            return True
        if late < -self._gap / 2:
            # The next one will be nearer.
            return False
        self._due += self._interval
        return True

    def _note_gap(self, at: float) -> None:
        """Keep the usual time between two frames; one that comes early or late moves it little."""
        gap = 0.0 if self._last is None else at - self._last
        if 0 < gap < self._interval:
            self._gap += (gap - self._gap) * (_SETTLING if self._gap else 1.0)
        self._last = at
