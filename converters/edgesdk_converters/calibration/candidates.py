"""Look at pictures one at a time and keep what the choice needs: a name, a likeness and a row of features.

A picture that cannot be read and one that repeats another go at once. Frames of a fixed camera are all nearly the same
by nature: those that only resemble an earlier one are put aside, and come back if too few are left without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edgesdk_converters.calibration.feature_table import Features, FeatureTable
from edgesdk_converters.calibration.likeness import Likeness, Seen, likeness_of
from edgesdk_converters.calibration.origin import Origin
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

Progress = Callable[[str], None]
_SAY_EVERY = 25


@dataclass(slots=True)
class Candidates:
    """What was seen.

    Attributes:
        names, likenesses: of the pictures to choose from.
        table: their features; None where the thumbnails serve.
        unreadable: name and reason.
        duplicates: how many had the pixels of another.
        near_duplicates: how many were nearly another, and were left out.
        returned: how many of those came back.
    """

    table: FeatureTable | None
    names: list[str] = field(default_factory=list)
    likenesses: list[Likeness] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: int = 0
    near_duplicates: int = 0
    returned: int = 0
    examined: int = 0

    def take(self, name: str, picture: Array, likeness: Likeness) -> None:
        """Add a picture to those to choose from."""
        if self.table is not None:
            self.table.add(picture, name)
        self.names.append(name)
        self.likenesses.append(likeness)


def look_at(
    origin: Origin, features: Features | None, *, limit: int, at_least: int, seed: int, progress: Progress
) -> Candidates:
    """Look at pictures until `limit` of them can be chosen from.

    Args:
        at_least: frames of a video that resemble others come back until so many are there.
    """
    found = Candidates(FeatureTable(features, seed=seed) if features else None)
    met: set[str] = set()  # pixels
    kept, aside = Seen(), list[str]()  # a picture is near to one that was kept: a slow pan would else end at its first
    for name in origin.names():
        if len(found.names) >= limit:
            break
        found.examined += 1
        if found.examined % _SAY_EVERY == 0:
            progress(f"calibration: {found.examined} pictures looked at")
        try:
            picture = origin.read(name)
        except InputError as error:
            found.unreadable.append((name, error.message))
            continue
        likeness = likeness_of(picture)
        if likeness.pixels in met:
            found.duplicates += 1
        elif kept.near(likeness) is not None:
            found.near_duplicates += 1
            if origin.alike_by_nature:
                aside.append(name)
        else:
            found.take(name, picture, likeness)
            kept.add(likeness)
        met.add(likeness.pixels)
    _bring_back(found, origin, aside, at_least)
    return found


def _bring_back(found: Candidates, origin: Origin, aside: list[str], at_least: int) -> None:
    missing = at_least - len(found.names)
    if missing <= 0 or not aside:
        return
    step = max(1, len(aside) // missing)
    for name in aside[::step][:missing]:
        picture = origin.read(name)
        found.take(name, picture, likeness_of(picture))
        found.near_duplicates -= 1
        found.returned += 1
