"""Find the pictures of a dataset that are there twice.

Exact: equal pixels, whatever the files. Perceptual: encoded again, resized, a little brighter, or cut at the edges by up
to five per cent a side. Each picture's nearest by thumbnail are looked at closely (`candidates`, `align`), so the work grows
with the number of pictures, and the cheap part alone with its square. A picture is a copy of one that is kept, not of
another copy: a slow pan would else be one picture from its first frame to its last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.data.dedup.align import Overlay, overlay
from edgesdk.data.dedup.candidates import near_pairs, normalised
from edgesdk.data.dedup.describe import Described, describe
from edgesdk.data.index.item import Index, Item
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.pipeline import Progress
from edgesdk.data.stream.read_ahead import in_order, threads
from edgesdk_targets.errors import NoSpace

_SAY_EVERY = 2000


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures that are one.

    Attributes:
        kept: the one to keep: of the last set (what is tested on stays, what is trained on goes), of those the largest.
        others: the rest, each with how it is known: `exact` or `near`.
    """

    kept: Item
    others: tuple[tuple[Item, str], ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return (self.kept, *(item for item, _ in self.others))

    @property
    def splits(self) -> tuple[str, ...]:
        """The sets that they lie in, each once: more than one is a leak."""
        return tuple(sorted({item.split for item in self.items}))

    @property
    def labels_differ(self) -> bool:
        """One picture, two answers: one of the labels is wrong."""
        return len({item.classes for item in self.items if item.labelled}) > 1

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "kept": self.kept.name,
            "split": self.kept.split,
            "copies": [{"name": item.name, "split": item.split, "how": how} for item, how in self.others],
            "leak": len(self.splits) > 1,
            "labels_differ": self.labels_differ,
        }


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What a dataset has twice.

    Attributes:
        groups: leaks first.
        unread: pictures that could not be compared, and why.
    """

    index: Index
    groups: tuple[Copies, ...]
    unread: tuple[tuple[Item, str], ...]

    @property
    def leaks(self) -> tuple[Copies, ...]:
        return tuple(group for group in self.groups if len(group.splits) > 1)

    @property
    def copies(self) -> int:
        """How many pictures are there for nothing."""
        return sum(len(group.others) for group in self.groups)

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        how = Counter(how for group in self.groups for _, how in group.others)
        return {
            "pictures": len(self.index),
            "groups": [group.to_json() for group in self.groups],
            "copies": self.copies,
            "exact": how["exact"],
            "near": how["near"],
            "leaks": len(self.leaks),
            "labels_differ": sum(group.labels_differ for group in self.groups),
            "unread": [{"name": item.name, "reason": reason} for item, reason in self.unread],
        }


def find_duplicates(
    index: Index, *, exact: bool = False, workers: int | None = None, progress: Progress | None = None
) -> Duplicates:
    """Compare all pictures of a dataset, across its sets too.

    Args:
        exact: only equal pixels count.

    Raises:
        MissingExtra: ImageHash is not installed.
        NoSpace: the disk is full.
    """
    small = FrameCache()
    try:
        described, unread = describe(index.items, small, workers=workers, progress=progress)
        if len(small) < len({one.item.name for one in described}):
            raise NoSpace(
                "There is no room on a disk to put small pictures aside: they may take half of what is free.",
                hint="Set TMPDIR to a folder on a disk (not in memory) with more room.",
            )
        first: dict[str, int] = {}
        firsts = sorted({first.setdefault(one.likeness.pixels, place) for place, one in enumerate(described)})
        near: dict[int, set[int]] = defaultdict(set)
        for i, j in () if exact else _near(described, firsts, small, threads(workers), progress):
            near[i].add(j)
            near[j].add(i)
    finally:
        small.close()
    groups = sorted(_groups(described, first, near, index.splits), key=lambda group: len(group.splits) < 2)
    return Duplicates(index, tuple(groups), tuple(unread))


def _near(
    described: Sequence[Described], firsts: Sequence[int], small: FrameCache, workers: int, progress: Progress | None
) -> Iterable[tuple[int, int]]:
    if len(firsts) < 2:
        return
    cloud = normalised(np.stack([described[place].likeness.thumbnail for place in firsts]))
    pairs = [(firsts[i], firsts[j]) for i, j in near_pairs(cloud, progress)]

    def compare(pair: tuple[int, int]) -> Overlay | None:
        one, other = (small.get(described[place].item.name) for place in pair)
        shorter = (min(described[pair[0]].size), min(described[pair[1]].size))
        return overlay(one, other, shorter) if one is not None and other is not None else None

    for number, laid in enumerate(in_order(pairs, compare, workers=workers, ahead=64 * workers)):
        if progress is not None and number % _SAY_EVERY == _SAY_EVERY - 1:
            progress(f"{number + 1} of {len(pairs)} pairs compared")
        if laid is not None and laid.is_copy:
            yield pairs[number]


def _groups(
    described: Sequence[Described], first: dict[str, int], near: dict[int, set[int]], splits: Sequence[str]
) -> Iterable[Copies]:
    """Divide the pictures into those that are kept and their copies.

    Args:
        first: pixels → the first picture that has them; near: between these firsts.
    """
    equal: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(described):
        equal[first[one.likeness.pixels]].append(place)
    rank = {
        place: (splits.index(one.item.split), one.size[0] * one.size[1], -place) for place, one in enumerate(described)
    }
    group_of: dict[int, int] = {}
    members: dict[int, list[int]] = defaultdict(list)
    for unit in sorted(equal, key=lambda unit: max(rank[place] for place in equal[unit]), reverse=True):
        met = [other for other in near[unit] if other in group_of and _binds(other, unit, group_of, described)]
        best = max(met, key=lambda other: rank[group_of[other]], default=None)
        group_of[unit] = unit if best is None else group_of[best]
        members[group_of[unit]] += equal[unit]
    for group in members.values():
        if len(group) < 2:
            continue
        kept = max(group, key=lambda place: rank[place])
        pixels = described[kept].likeness.pixels
        others = [
            (described[place].item, "exact" if described[place].likeness.pixels == pixels else "near")
            for place in sorted(group)
            if place != kept
        ]
        yield Copies(described[kept].item, tuple(others))


def _binds(other: int, unit: int, group_of: dict[int, int], described: Sequence[Described]) -> bool:
    """Tell whether a picture follows one that it is near to: one that is kept, or one of another set, as that is a leak."""
    return group_of[other] == other or described[other].item.split != described[unit].item.split
