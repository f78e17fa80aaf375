"""Look at every file of a dataset: what a reader would stumble over, and what is odd.

Each file is decoded whole by Pillow, which notices what was cut off, and by OpenCV, which is what a device reads with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.data.findings import Finding
from edgesdk.data.index.item import Index, Item, Layout
from edgesdk.data.picture_file import Header, TooManyPixels, decode_whole
from edgesdk.data.stream.pipeline import Pipeline, Progress, Unread
from edgesdk.data.stream.read_ahead import in_order, threads
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import picture_bytes
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

MIN_SIDE = 16
# Levels that a picture's brightness differs by, below which nothing is to be seen in it.
_FLAT = 2.0
# The share of pictures that must agree before another colour mode is odd.
_USUAL = 0.9
_SAY_EVERY = 50
# Modes that mean the same colours.
_SAME_MODE = {"P": "RGB", "RGBX": "RGB", "1": "L", "I;16B": "I;16", "I": "I;16"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as it was found.

    Attributes:
        header: what its file says; None for a frame of a video.
        problem: kind and detail, where it cannot be used.
    """

    item: Item
    header: Header | None = None
    size: tuple[int, int] = (0, 0)
    deviation: float = 0.0
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A dataset after the check.

    Attributes:
        findings: faults first.
        modes: how many pictures are of each colour mode, by Pillow's names.
        sizes: (width, height) of the pictures that can be read.
    """

    index: Index
    findings: tuple[Finding, ...]
    modes: dict[str, int]
    sizes: tuple[tuple[int, int], ...]

    @property
    def faults(self) -> int:
        return sum(finding.fault for finding in self.findings)

    @property
    def about(self) -> str:
        """What was looked at, in words."""
        index = self.index
        sets = Counter(item.split for item in index.items)
        parts = ", ".join(f"{name} {count}" for name, count in sets.items() if name)
        classes = f", {_counted(len(index.names), 'class', 'classes')}" if index.names else ""
        pictures = _counted(len(index), "picture", "pictures")
        return f"{pictures}{f' ({parts})' if parts else ''}{classes}; layout: {index.layout.value}"

    @property
    def counted(self) -> str:
        """How much was found, in words."""
        faults, remarks = self.faults, len(self.findings) - self.faults
        return f"{_counted(faults, 'fault', 'faults')}, {_counted(remarks, 'remark', 'remarks')}"

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        widths, heights = zip(*self.sizes, strict=True) if self.sizes else ((0,), (0,))
        return {
            "layout": self.index.layout.value,
            "pictures": len(self.index),
            "splits": dict(Counter(item.split for item in self.index.items)),
            "classes": {name: self.index.of_class()[name] for name in self.index.names},
            "modes": self.modes,
            "width": {"min": min(widths), "median": float(np.median(widths)), "max": max(widths)},
            "height": {"min": min(heights), "median": float(np.median(heights)), "max": max(heights)},
            "found": dict(Counter(finding.kind for finding in self.findings)),
            "faults": self.faults,
            "findings": [finding.to_json() for finding in self.findings],
        }


def check(
    index: Index, *, min_side: int = MIN_SIDE, workers: int | None = None, progress: Progress | None = None
) -> Checked:
    """Open every picture of a dataset.

    Args:
        min_side: pictures with a shorter side are remarked on.
    """
    seen = list(_seen(index, workers, progress))
    findings = list(index.findings)
    modes = Counter(_SAME_MODE.get(one.header.mode, one.header.mode) for one in seen if one.header is not None)
    usual, count = modes.most_common(1)[0] if modes else ("", 0)
    odd_modes = count < modes.total() and count >= _USUAL * modes.total()
    for one in seen:
        findings += _findings(one, min_side, usual if odd_modes else None)
    findings.sort(key=lambda finding: not finding.fault)
    sizes = tuple(one.size for one in seen if one.problem is None)
    return Checked(index, tuple(findings), dict(modes), sizes)


def _findings(one: Seen, min_side: int, usual: str | None) -> list[Finding]:
    def found(kind: str, detail: str) -> Finding:
        return Finding(kind, one.item.name, detail, one.item.split)

    if one.problem is not None:
        return [found(*one.problem)]
    made = []
    width, height = one.size
    if min(width, height) < min_side:
        made.append(found("tiny", f"{width} x {height} pixels"))
    if one.deviation < _FLAT:
        made.append(found("flat", "nothing is to be seen in it"))
    header = one.header
    if header is not None and not header.fits(one.item.path):
        made.append(found("wrong-suffix", f"its content is {header.kind}"))
    if header is not None and usual is not None and _SAME_MODE.get(header.mode, header.mode) != usual:
        made.append(found("colour-mode", f"{header.mode}, most are {usual}"))
    return made


def _seen(index: Index, workers: int | None, progress: Progress | None) -> Sequence[Seen]:
    if index.layout is Layout.VIDEO:
        stream = Pipeline(index.items, _frame, workers=workers, progress=progress)
        return [
            Seen(item, problem=("corrupt", _clause(answer.reason, item.path))) if isinstance(answer, Unread) else answer
            for item, answer in stream
        ]
    seen, count = [], threads(workers)
    for one in in_order(index.items, _file, workers=count, ahead=3 * count):
        seen.append(one)
        if progress is not None and (len(seen) % _SAY_EVERY == 0 or len(seen) == len(index)):
            progress(f"{len(seen)} of {len(index)} pictures")
    return seen


def _frame(item: Item, picture: Array) -> Seen:
    return Seen(item, None, (picture.shape[1], picture.shape[0]), _deviation(picture))


def _file(item: Item) -> Seen:
    try:
        header, picture = decode_whole(picture_bytes(item.path), str(item.path))
    except TooManyPixels as error:
        return Seen(item, problem=("too-large", _clause(error, item.path)))
    except InputError as error:
        return Seen(item, problem=("corrupt", _clause(error, item.path)))
    return Seen(item, header, (picture.shape[1], picture.shape[0]), _deviation(picture))


def _deviation(picture: Array) -> float:
    """Return how much brightness varies over a picture, in levels."""
    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
    return float(small.reshape(-1, 3).std(axis=0).max())


def _clause(error: InputError, path: Path) -> str:
    return error.message.removeprefix(str(path)).lstrip(": ").rstrip(".")


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
