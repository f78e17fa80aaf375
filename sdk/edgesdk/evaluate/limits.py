"""What a gate allows."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.errors import InputError

# What the main figure may lose unless it is said otherwise: one point.
MAX_DROP = 0.01


@dataclass(frozen=True, slots=True)
class Limits:
    """What an artifact may lose.

    Attributes:
        max_drop: of the main figure, as a fraction.
        class_floor: of any class's recall, and of the detections at the deployed threshold.
        score_threshold: from which a detection counts on the device.

    Raises:
        InputError: one is not between 0 and 1.
    """

    max_drop: float
    class_floor: float = 0.1
    score_threshold: float = 0.25

    def __post_init__(self) -> None:
        for name, value in (("max-drop", self.max_drop), ("class floor", self.class_floor)):
            if not 0 < value < 1:
                raise InputError(f"The {name} must lie between 0 and 1, not {value}.", hint="0.01 is one point.")
        if not 0 <= self.score_threshold <= 1:
            raise InputError(f"The score threshold must lie in 0..1, not {self.score_threshold}.", hint="Try 0.25.")
