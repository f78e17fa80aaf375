"""The section `frame_data`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgesdk_agent.config.section import Section
from edgesdk_agent.frame_data.frame_rules import FrameRules


class FrameDataSection(Section):
    """Which frames are left out before the model; see docs/frame-data.md. Nothing is, unless asked for.

    Attributes:
        drop_corrupt: pictures of which the decoder made up at least `corrupt_part` of the height.
        drop_black: pictures in which nothing can be seen for darkness.
        drop_overexposed: pictures of which at least `overexposed_part` is white.
        drop_blurred: pictures whose sharpness is below `sharpness_below`.
        deduplicate: leave out what shows the same as the last frame that went through: `motion` sees small things that
            move, `hash` compares the whole scene.
        motion_part: of the picture that has to change for something to have moved.
        hash_distance: bits of 64 that may differ.
        longest_silence_s: after this a frame goes through although nothing changed.
    """

    drop_corrupt: bool = False
    corrupt_part: float = Field(default=0.15, ge=0.05, le=1.0)
    drop_black: bool = False
    drop_overexposed: bool = False
    overexposed_part: float = Field(default=0.5, ge=0.05, le=1.0)
    drop_blurred: bool = False
    sharpness_below: float = Field(default=0.02, gt=0.0, le=10.0)
    deduplicate: Literal["off", "motion", "hash"] = "off"
    motion_part: float = Field(default=0.001, gt=0.0, le=1.0)
    hash_distance: int = Field(default=2, ge=0, le=32)
    longest_silence_s: float = Field(default=2.0, gt=0.0, le=86400.0)

    def rules(self) -> FrameRules:
        """Return these as the gate reads them."""
        return FrameRules(**dict(self))
