"""How well objects were followed: MOTA and IDF1.

MOTA after K. Bernardin and R. Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics"
(2008): frame by frame, a pair of the frame before stays a pair while it overlaps. IDF1 after E. Ristani et al.,
"Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (2016): one pairing of true objects with
answered ones for the whole sequence. The assignments are SciPy's, which the tracker under test does not use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from edgesdk_targets.tensor import Array

SAME = 0.5


@dataclass(frozen=True, slots=True)
class Labelled:
    """Objects of one frame: their numbers (N,) int64, and boxes (N, 4) x1 y1 x2 y2."""

    ids: Array
    boxes: Array


@dataclass(frozen=True, slots=True)
class MotScore:
    """How well a sequence was followed.

    Attributes:
        objects, answers: boxes in truth and in answer, over all frames.
        missed, wrong, switches: of CLEAR MOT.
        identified: boxes that have the right number by the best pairing of the whole sequence.
    """

    objects: int
    answers: int
    missed: int
    wrong: int
    switches: int
    identified: int

    @property
    def mota(self) -> float:
        return 1.0 - (self.missed + self.wrong + self.switches) / max(1, self.objects)

    @property
    def idf1(self) -> float:
        return 2 * self.identified / max(1, self.objects + self.answers)

    def __add__(self, other: MotScore) -> MotScore:
        return MotScore(
            self.objects + other.objects,
            self.answers + other.answers,
            self.missed + other.missed,
            self.wrong + other.wrong,
            self.switches + other.switches,
            self.identified + other.identified,
        )


def mot_score(frames: Iterable[tuple[Labelled, Labelled]]) -> MotScore:
    """Judge the frames of one sequence, each the truth and the answer."""
    kept: dict[int, int] = {}
    together: Counter[tuple[int, int]] = Counter()
    objects = answers = missed = wrong = switches = 0
    for truth, answer in frames:
        alike = _overlaps(truth.boxes, answer.boxes)
        together.update(
            (int(truth.ids[t]), int(answer.ids[a])) for t, a in zip(*np.nonzero(alike >= SAME), strict=True)
        )
        pairs = _clear_pairs(truth, answer, alike, kept)
        switches += sum(kept.get(t, a) != a for t, a in pairs.items())
        kept.update(pairs)
        objects, answers = objects + len(truth.ids), answers + len(answer.ids)
        missed, wrong = missed + len(truth.ids) - len(pairs), wrong + len(answer.ids) - len(pairs)
    return MotScore(objects, answers, missed, wrong, switches, _identified(together))


def _clear_pairs(truth: Labelled, answer: Labelled, alike: Array, kept: dict[int, int]) -> dict[int, int]:
    place = {int(number): column for column, number in enumerate(answer.ids)}
    pairs: dict[int, int] = {}
    for row, number in enumerate(truth.ids.tolist()):
        column = place.get(kept.get(number, -1), -1)
        # Two may have had the same partner, one after the other.
        if column >= 0 and alike[row, column] >= SAME and int(answer.ids[column]) not in pairs.values():
            pairs[number] = int(answer.ids[column])
    rows = [r for r, number in enumerate(truth.ids.tolist()) if number not in pairs]
    columns = [c for c, number in enumerate(answer.ids.tolist()) if number not in pairs.values()]
    if rows and columns:
        cost = np.where(alike[np.ix_(rows, columns)] >= SAME, 1.0 - alike[np.ix_(rows, columns)], 1e3)
        for r, c in zip(*linear_sum_assignment(cost), strict=True):
            if cost[r, c] < 1e3:
                pairs[int(truth.ids[rows[r]])] = int(answer.ids[columns[c]])
    return pairs


def _identified(together: Counter[tuple[int, int]]) -> int:
    if not together:
        return 0
    truths, answers = sorted({t for t, _ in together}), sorted({a for _, a in together})
    shared = np.zeros((len(truths), len(answers)))
    for (t, a), count in together.items():
        shared[truths.index(t), answers.index(a)] = count
    return int(shared[linear_sum_assignment(-shared)].sum())


def _overlaps(one: Array, other: Array) -> Array:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
