"""What can be done to each picture of a stream before it is kept and worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array


class Stage(Protocol):
    """A step: picture in, picture out; the same on every call, and safe on several threads."""

    def __call__(self, picture: Array) -> Array:
        """Return the next picture, (H, W, C) uint8; the given one may be changed."""
        ...


@dataclass(frozen=True, slots=True)
class FitWithin:
    """Shrink a picture so that its longest side is at most so many pixels; smaller ones stay."""

    longest: int

    def __call__(self, picture: Array) -> Array:
        height, width = picture.shape[:2]
        scale = self.longest / max(height, width)
        if scale >= 1:
            return picture
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        out: Array = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return out


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bring a picture to one size, (height, width), whatever its shape."""

    height: int
    width: int

    def __call__(self, picture: Array) -> Array:
        if picture.shape[:2] == (self.height, self.width):
            return picture
        larger = self.height > picture.shape[0] or self.width > picture.shape[1]
        # Over areas OpenCV enlarges to squares, whose edges lie elsewhere in a picture that was cut.
        how = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
        out: Array = cv2.resize(picture, (self.width, self.height), interpolation=how)
        return out


def composed(stages: tuple[Stage, ...]) -> Callable[[Array], Array]:
    """Return the stages as one."""

    def run(picture: Array) -> Array:
        for stage in stages:
            picture = stage(picture)
        return picture

    return run
