"""One camera's gate between capture and the model: a frame that is not worth an inference is left out, with its cause.

Cleaned first, de-duplicated after: a black picture is no picture to compare with. A frame that shows what the last
one showed is left out for so long at most, so that whoever waits for results knows that the camera is there, and what
no rule sees is not missed for ever. It runs on the capture thread, where each camera has its own: a frame that is left
out there never took the place of one that the model still has to see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, get_args

from edgesdk_agent.frame import Frame
from edgesdk_agent.frame_data.corruption import has_filled_rows
from edgesdk_agent.frame_data.exposure import Exposure
from edgesdk_agent.frame_data.frame_rules import FrameRules
from edgesdk_agent.frame_data.likeness import HashLikeness, Likeness, MotionLikeness
from edgesdk_agent.frame_data.sampled_picture import GRID_HEIGHT, GRID_WIDTH, SampledPicture
from edgesdk_agent.frame_data.sharpness import Sharpness

LeftOut = Literal["corrupt", "black", "overexposed", "blurred", "duplicate"]
_SHAPE = (GRID_HEIGHT, GRID_WIDTH)


class FrameGate:
    """Look at each frame, and say why it is left out, or None.

    Args:
        rules: which of them hold.
        clock: seconds, for what the looking costs.
    """

    def __init__(self, rules: FrameRules, clock: Callable[[], float] = time.perf_counter) -> None:
        self._rules = rules
        self._clock = clock
        self._sampled = SampledPicture()
        self._exposure = Exposure(_SHAPE)
        self._sharpness = Sharpness() if rules.drop_blurred else None
        self._likeness = _likeness(rules)
        self._silent_since: float | None = None
        self._next_rules: FrameRules | None = None
        self._counts = {"seen": 0, **dict.fromkeys(get_args(LeftOut), 0)}
        self._cost_s = 0.0

    def __call__(self, frame: Frame) -> LeftOut | None:
        """Return why a frame is left out."""
        began = self._clock()
        if self._next_rules is not None:
            self._change_rules()
        cause = self._cause(frame)
        self._counts["seen"] += 1
        if cause is not None:
            self._counts[cause] += 1
        self._cost_s += self._clock() - began
        return cause

    def take_numbers(self, rules: FrameRules) -> None:
        """Go by the numbers of other rules from the next frame on; any thread may ask. Which of them hold stays as it is."""
        self._next_rules = rules

    def counts(self) -> Mapping[str, int]:
        """Return how many frames were seen, left out by cause, and the microseconds that the looking took in all."""
        return {**self._counts, "cost_us": round(self._cost_s * 1e6)}

    def _change_rules(self) -> None:
        rules, self._next_rules = self._next_rules, None
        assert rules is not None  # noqa: S101  (asked by the caller)
        before, numbers = self._rules, ("motion_part", "hash_distance")
        self._rules = replace(
            rules,
            drop_corrupt=before.drop_corrupt,
            drop_black=before.drop_black,
            drop_overexposed=before.drop_overexposed,
            drop_blurred=before.drop_blurred,
            deduplicate=before.deduplicate,
        )
        if any(getattr(before, name) != getattr(rules, name) for name in numbers):
            # What was remembered was remembered by other numbers: the next frame goes through.
            self._likeness = _likeness(self._rules)

    def _cause(self, frame: Frame) -> LeftOut | None:
        self._sampled.take(frame.image)
        rules, grey = self._rules, self._sampled.grey
        if rules.drop_corrupt and has_filled_rows(self._sampled.rows, rules.corrupt_part):
            return "corrupt"
        if rules.drop_black and self._exposure.is_black(grey):
            return "black"
        if rules.drop_overexposed and self._exposure.is_overexposed(grey, rules.overexposed_part):
            return "overexposed"
        if self._sharpness is not None:
            sharp = self._sharpness.of(frame.image)
            if sharp is not None and sharp < rules.sharpness_below:
                return "blurred"
        return self._duplicate(frame.captured_at)

    def _duplicate(self, at: float) -> LeftOut | None:
        if self._likeness is None:
            return None
        alike = self._likeness.is_alike(self._sampled.grey)
        since = self._silent_since
        if alike and since is not None and at - since < self._rules.longest_silence_s:
            return "duplicate"
        self._likeness.remember()
        self._silent_since = at
        return None


def _likeness(rules: FrameRules) -> Likeness | None:
    if rules.deduplicate == "motion":
        return MotionLikeness(_SHAPE, rules.motion_part)
    return HashLikeness(rules.hash_distance) if rules.deduplicate == "hash" else None
