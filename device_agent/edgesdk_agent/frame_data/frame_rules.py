"""Which rules of frame data hold, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Deduplicate = Literal["off", "motion", "hash"]


@dataclass(frozen=True, slots=True)
class FrameRules:
    """What is left out before the model; nothing unless asked for.

    Attributes:
        drop_corrupt: pictures of which the decoder made up at least `corrupt_part` of the height.
        drop_black: pictures in which nothing can be seen for darkness.
        drop_overexposed: pictures of which at least `overexposed_part` is white.
        drop_blurred: pictures whose sharpness is below `sharpness_below`.
        deduplicate: leave out what shows the same as the last frame that went through, by `motion` or by `hash`.
        motion_part: of the picture that has to change.
        hash_distance: bits of 64 that may differ.
        longest_silence_s: after this a frame goes through although nothing changed.
    """

    drop_corrupt: bool = False
    corrupt_part: float = 0.15
    drop_black: bool = False
    drop_overexposed: bool = False
    overexposed_part: float = 0.5
    drop_blurred: bool = False
    sharpness_below: float = 0.02
    deduplicate: Deduplicate = "off"
    motion_part: float = 0.001
    hash_distance: int = 2
    longest_silence_s: float = 2.0

    @property
    def any(self) -> bool:
        """Whether one rule holds at least."""
        drops = self.drop_corrupt or self.drop_black or self.drop_overexposed or self.drop_blurred
        return drops or self.deduplicate != "off"
