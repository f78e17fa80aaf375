"""Does the artifact give the source's answers? Measured per output and per channel group.

One figure over a whole output hides a dead part of it: boxes of hundreds of pixels drown scores of 0..1. So each group
of channels is judged by itself, by its signal-to-noise ratio over all pictures:
SQNR = 10 log10(sum of reference² / sum of (artifact - reference)²), in dB.
A group passes above the precision's limit. Small numbers carry less precision, so where no element differs by more than the
absolute tolerance a third of the limit is enough: a group of tiny scores may be rough, but not dead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import Array

# Figures above this say "the same to the last bits"; it also stands for infinity, which JSON does not have.
MAX_DB = 200.0
# INT8 is judged by its accuracy; the limit here only tells a rough answer from a dead one, which has 0 dB.
LIMIT_DB = {Precision.FP32: 60.0, Precision.FP16: 35.0, Precision.INT8: 6.0, Precision.MIXED: 6.0}
# A difference that is nothing in any unit.
NOTHING = 1e-7
TOLERANCE = {Precision.FP32: 1e-5, Precision.FP16: 1e-3, Precision.INT8: 2e-2, Precision.MIXED: 2e-2}

# Axis, and name → channels, of the heads whose one output holds several kinds of numbers.
CHANNEL_GROUPS: dict[str, tuple[int, dict[str, slice]]] = {
    "yolov8": (1, {"boxes": slice(0, 4), "scores": slice(4, None)}),
    "yolov5": (2, {"boxes": slice(0, 4), "objectness": slice(4, 5), "classes": slice(5, None)}),
    "end2end": (2, {"boxes": slice(0, 4), "scores": slice(4, 5), "classes": slice(5, 6)}),
    "fastestdet": (1, {"objectness": slice(0, 1), "boxes": slice(1, 5), "classes": slice(5, None)}),
}


@dataclass(slots=True)
class GroupParity:
    """How close one group of channels came.

    Attributes:
        sqnr_db: capped at 200.
        max_abs: worst difference of one element, in the output's own unit.
    """

    name: str
    sqnr_db: float
    max_abs: float
    passed: bool

    def to_json(self) -> dict[str, object]:
        # Rounded to what is meant: the last digits may differ from run to run, and a bundle's bytes may not.
        db, worst = round(self.sqnr_db, 1), float(f"{self.max_abs:.2g}")
        return {"name": self.name, "sqnr_db": db, "max_abs": worst, "passed": self.passed}


@dataclass(slots=True)
class Parity:
    """How close an artifact came on all groups."""

    groups: list[GroupParity]
    limit_db: float
    samples: int

    @property
    def passed(self) -> bool:
        return all(group.passed for group in self.groups)

    @property
    def worst(self) -> GroupParity:
        return min(self.groups, key=lambda group: (group.passed, group.sqnr_db))

    def to_json(self) -> dict[str, object]:
        return {
            "passed": self.passed,
            "limit_db": self.limit_db,
            "samples": self.samples,
            "worst": self.worst.to_json(),
            "groups": [group.to_json() for group in self.groups],
        }


@dataclass(slots=True)
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    max_abs: float = 0.0
    unusable: bool = False


@dataclass(slots=True)
class ParityMeter:
    """Collects pairs of answers and judges them.

    Attributes:
        head: layout of a detector's output, which tells its channel groups.
    """

    precision: Precision
    head: str | None = None
    _sums: dict[str, _Sums] = field(default_factory=dict)
    _samples: int = 0

    def add(self, reference: Mapping[str, Array], artifact: Mapping[str, Array]) -> None:
        """Add the answers to one picture, by output name."""
        self._samples += 1
        for name, wanted in reference.items():
            got = artifact[name]
            for group, (a, b) in _split(name, self.head, wanted, got).items():
                self._add_group(self._sums.setdefault(group, _Sums()), a, b)

    def result(self) -> Parity:
        """Judge what was added so far."""
        limit, tolerance = LIMIT_DB[self.precision], TOLERANCE[self.precision]
        groups = []
        for name, sums in self._sums.items():
            db = _sqnr(sums)
            small = sums.max_abs <= tolerance and (db >= limit / 3 or sums.max_abs <= NOTHING)
            passed = not sums.unusable and (db >= limit or small)
            groups.append(GroupParity(name, db, sums.max_abs, passed))
        return Parity(groups, limit, self._samples)

    @staticmethod
    def _add_group(sums: _Sums, wanted: Array, got: Array) -> None:
        if wanted.shape != got.shape:  # nothing can be compared
            sums.unusable = True
            return
        a, b = wanted.astype(np.float64), got.astype(np.float64)
        difference = b - a
        if not np.all(np.isfinite(difference)):
            sums.unusable = True
            return
        sums.signal += float(np.sum(a * a))
        sums.noise += float(np.sum(difference * difference))
        sums.max_abs = max(sums.max_abs, float(np.max(np.abs(difference), initial=0.0)))


def _split(name: str, head: str | None, wanted: Array, got: Array) -> dict[str, tuple[Array, Array]]:
    axis, groups = CHANNEL_GROUPS.get(head or "", (0, {}))
    if not groups or wanted.ndim <= axis or wanted.ndim < 3:
        return {name: (wanted, got)}
    if wanted.shape != got.shape:
        return {f"{name}.{group}": (wanted, got) for group in groups}
    index = (slice(None),) * axis
    return {f"{name}.{group}": (wanted[(*index, part)], got[(*index, part)]) for group, part in groups.items()}


def _sqnr(sums: _Sums) -> float:
    if sums.unusable:
        return -MAX_DB
    if sums.noise == 0.0:
        return MAX_DB
    if sums.signal == 0.0:
        return -MAX_DB
    return float(min(MAX_DB, max(-MAX_DB, 10.0 * math.log10(sums.signal / sums.noise))))
