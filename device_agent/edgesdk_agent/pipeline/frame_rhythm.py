"""What a camera's frames and their inferences take, and what follows: whether a lane waits, and whether it prepares.

A model that is slower than its camera takes the newest frame there is, which is up to one frame period old. Where the
next frame is due within a few milliseconds, waiting for it makes the result younger by nearly the whole period, and
costs only those milliseconds. Waiting happens at most once an inference and never for more than a small part of it, so
that the rate stays; where the model is faster than the camera, lanes wait for frames anyway.

Where a frame takes less time to prepare and infer than to be handed from one thread to the next, the lane that infers it
prepares it too. And where preparing takes little of a frame's time, its camera's thread may do it without being late for the next.
"""

from __future__ import annotations

# Of the time of one inference, and in all. Measured in docs/decisions/0005.
_PART_OF_INFERENCE = 0.06
_LONGEST_S = 0.004
# A frame that is this much later than expected is still waited for; clocks and sockets shake.
_JITTER_S = 0.0005
# How much a new measurement counts against those before it.
_NEW = 0.1
# Periods to have seen before the rhythm is believed.
_ENOUGH = 8
# Waking a thread that then waits for Python's lock costs some ten microseconds on each side. What is quick stays so until
# it is clearly not: a thread that is put off in the middle of its work counts with all of the pause.
_QUICK_S, _NO_LONGER_QUICK_S = 0.0001, 0.0004
# Frames that are done within this, at the pace of the results, are soon done.
_SOON_S = 0.02
# How much of a frame's time, and in all: a camera of which few frames are wanted sends the others meanwhile.
_EASY_PART, _EASY_S = 0.25, 0.004


class FrameRhythm:
    """The period of one camera's frames and the time of its inferences, as running means.

    Not locked: captures are told by one thread, inferences and the question come from the lanes, and a value that is
    one frame old does no harm.

    Attributes:
        matters: whether the model may be slower than the camera, so that the question is worth its time.
        quick: whether a frame is prepared and inferred in less time than it takes to hand it over in between.
        at_ease: whether the camera's thread has the time to prepare frames.
        soon: how many frames are done within a few milliseconds, at the pace of this camera's results.
    """

    __slots__ = (
        "_between_s",
        "_delivered",
        "_infer_s",
        "_inferred",
        "_last",
        "_period_s",
        "_prepare_s",
        "_seen",
        "at_ease",
        "matters",
        "quick",
        "soon",
    )

    def __init__(self) -> None:
        self._period_s = 0.0
        self._infer_s = 0.0
        self._prepare_s = 0.0
        self._last = 0.0
        self._seen = self._inferred = 0
        self.matters = self.quick = self.at_ease = False
        self.soon = 0
        # As if results came once a second, until they come more often.
        self._between_s, self._delivered = 1.0, 0.0

    def captured(self, at: float) -> None:
        """Note when a frame was there, seconds of the monotonic clock."""
        period, self._last = at - self._last, at
        self._seen += 1
        if self._seen <= 1:
            return
        if self._seen == 2:
            self._period_s = period
        # A camera that paused says nothing of its rhythm.
        elif period < 3 * self._period_s:
            self._period_s += _NEW * (period - self._period_s)
        else:
            self._seen = 1

    def inferred(self, prepare_s: float, infer_s: float) -> None:
        """Note how long the model worked."""
        if not self._infer_s:
            self._prepare_s, self._infer_s = prepare_s, infer_s
        self._prepare_s += _NEW * (prepare_s - self._prepare_s)
        self._infer_s += _NEW * (infer_s - self._infer_s)
        self.matters = self._infer_s >= self._period_s and self._seen >= _ENOUGH
        self._inferred += 1
        easy_s = min(_EASY_PART * self._period_s, _EASY_S)
        self.at_ease = self._prepare_s <= easy_s and self._seen >= _ENOUGH
        limit_s = _NO_LONGER_QUICK_S if self.quick else _QUICK_S
        self.quick = self._prepare_s + self._infer_s < limit_s and self._inferred >= _ENOUGH

    def delivered(self, at: float) -> None:
        """Note when a result was on its way to whoever takes it."""
        gap, self._delivered = at - self._delivered, at
        self._between_s += _NEW * (min(gap, 1.0) - self._between_s)
        self.soon = int(_SOON_S / self._between_s)

    def worth_waiting_s(self, now: float, captured_at: float, lanes: int) -> float:
        """Return how long a free lane should wait for a frame newer than the one of `captured_at`; 0 is not at all.

        Args:
            now: seconds of the monotonic clock.
            captured_at: of the frame that is ready.
            lanes: inferences at a time.
        """
        if not self.matters or self._infer_s < lanes * self._period_s:
            return 0.0
        budget_s = min(_PART_OF_INFERENCE * self._infer_s, _LONGEST_S)
        due = max(captured_at, self._last) + self._prepare_s
        if self._last <= captured_at:
            due += self._period_s
        return due - now + _JITTER_S if -_JITTER_S < due - now <= budget_s else 0.0
