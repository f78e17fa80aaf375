"""What is kept of each picture to find its copies: a likeness, and the picture itself at 64 x 64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesdk.data.index.item import Item
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.pipeline import Pipeline, Progress, Unread
from edgesdk.data.stream.stages import FitWithin, Stretch
from edgesdk_converters.calibration.likeness import Likeness, likeness_of, pixel_hash
from edgesdk_targets.tensor import Array

SIDE = 64
# The coarse hashes are the same of a picture that was shrunk before, and much sooner made.
_SHRUNK = FitWithin(256)
_SMALL = Stretch(SIDE, SIDE)


@dataclass(frozen=True, slots=True)
class Described:
    """A picture that can be compared.

    Attributes:
        likeness: its pixels' hash, perceptual hashes and thumbnail.
        size: height and width.
    """

    item: Item
    likeness: Likeness
    size: tuple[int, int]


def describe(
    items: Sequence[Item], small: FrameCache, *, workers: int | None = None, progress: Progress | None = None
) -> tuple[list[Described], list[tuple[Item, str]]]:
    """Describe pictures; those that cannot be read come back with the reason.

    Args:
        small: takes each picture at 64 x 64 under its name.
    """

    def work(item: Item, picture: Array) -> Described:
        shrunk = _SHRUNK(picture)
        small.put(item.name, _SMALL(shrunk))
        likeness = replace(likeness_of(shrunk), pixels=pixel_hash(picture))
        return Described(item, likeness, picture.shape[:2])

    described: list[Described] = []
    unread: list[tuple[Item, str]] = []
    for item, answer in Pipeline(items, work, workers=workers, progress=progress):
        if isinstance(answer, Unread):
            unread.append((item, answer.reason.message))
        else:
            described.append(answer)
    return described, unread
