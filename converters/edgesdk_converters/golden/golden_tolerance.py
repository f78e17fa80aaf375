"""How far another machine may be from a golden answer, from what was measured when the answer was made.

Raw outputs: the same artifact on another instruction set rounds otherwise, but by less than the artifact's own distance from its
source, and the limit of its precision is always enough. In INT8 that is not so for every runtime: where each layer's numbers are
rounded to 8 bits, a program that adds up in another order or width gets its own share of them one step up or down, and what it
answers is as far from the first one's answer as both are from the source. Two that are each at the distance d are at most 2 d
apart, 6 dB. Instead of allowing that, an INT8 answer may be as near to the source as the artifact was here.
Decoded answers: twice what a change of one grey level in the input does to them, and never less than a floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgesdk_targets.golden.expected_result import (
    ExpectedClasses,
    ExpectedObjects,
    ExpectedText,
    ExpectedValues,
    ExpectedVector,
    Tolerance,
)
from edgesdk_targets.golden.golden_file import Limit
from edgesdk_targets.golden.result_distance import SAME_OBJECT_IOU, cosine_off, edits, iou, pairs
from edgesdk_targets.target import Precision

# (always enough, never less, below the distance to the source), dB.
_LIMITS = {
    Precision.FP32: (50.0, 30.0, 10.0),
    Precision.FP16: (30.0, 20.0, 10.0),
    Precision.INT8: (25.0, 6.0, 3.0),
    Precision.MIXED: (25.0, 6.0, 3.0),
}
_TINY = {Precision.FP32: 1e-5, Precision.FP16: 1e-3, Precision.INT8: 2e-3, Precision.MIXED: 2e-3}
_SCORE = {Precision.FP32: 0.02, Precision.FP16: 0.03, Precision.INT8: 0.05, Precision.MIXED: 0.05}
_COSINE = {Precision.FP32: 1e-3, Precision.FP16: 3e-3, Precision.INT8: 1e-2, Precision.MIXED: 1e-2}
_VALUE = {Precision.FP32: 5e-3, Precision.FP16: 1e-2, Precision.INT8: 3e-2, Precision.MIXED: 3e-2}
_TIMES = 2.0
# Activations are rounded to so few steps that the order of adding up decides over many of them.
ROUNDED = frozenset({Precision.INT8, Precision.MIXED})
# Below the worst of all trials: a dozen more trials would find one that is a little worse.
_WORSE_YET = 1.0
# An object whose score changes by more than this at a trifle says nothing.
_UNSTEADY = 0.15


def limit_of(precision: Precision, db: float | None) -> Limit:
    """Return the limit of a group of raw outputs.

    Args:
        db: of the artifact against its source, worst picture; None where the artifact could not be run.
    """
    enough, least, below = _LIMITS[precision]
    # Whole dB: the last digits may differ from run to run, and a bundle's bytes may not.
    limit = least if db is None else max(least, min(enough, float(math.floor(db - below))))
    return Limit(db=limit, tiny=_TINY[precision])


def source_limit_of(precision: Precision, db: float) -> Limit:
    """Return how near to the source a group of raw outputs may be instead.

    Args:
        db: of the artifact against its source, at worst over all pictures and what a trifle changes of them.
    """
    enough, least, _ = _LIMITS[precision]
    return Limit(db=max(least, min(enough, float(math.floor(db - _WORSE_YET)))), tiny=_TINY[precision])


def settle(precision: Precision, answer: Any, changed: Sequence[Any], pixel: float) -> tuple[Any, Tolerance]:
    """Return an `ExpectedResult` with its unsteady parts marked, and its tolerance.

    Args:
        changed: the answers to the same picture with a trifle changed.
        pixel: how many pixels of the picture one pixel of the model's input is.
    """
    if isinstance(answer, ExpectedClasses):
        return answer, Tolerance(score=_classes(precision, answer, changed))
    if isinstance(answer, ExpectedObjects):
        return _objects(precision, answer, changed, pixel)
    if isinstance(answer, ExpectedText):
        unsure = 2 * max((edits(answer.text, other.text) for other in changed), default=0)
        return answer.model_copy(update={"unsure": unsure}), Tolerance()
    if isinstance(answer, ExpectedVector):
        off = max((cosine_off(answer.vector, other.vector) for other in changed), default=0.0)
        return answer, Tolerance(cosine=_up(max(_COSINE[precision], _TIMES * off)))
    assert isinstance(answer, ExpectedValues)  # noqa: S101  (there is no other kind)
    size = max((abs(value) for value in answer.values.values()), default=0.0)
    off = max((abs(other.values[n] - v) for other in changed for n, v in answer.values.items()), default=0.0)
    return answer, Tolerance(value=_up(max(_VALUE[precision] * size, _TIMES * off)))


def _classes(precision: Precision, answer: ExpectedClasses, changed: Sequence[ExpectedClasses]) -> float:
    scores = {one.class_id: one.score for one in answer.classes}
    size = max(1.0, *(abs(score) for score in scores.values()))
    off = 0.0
    for other in changed:
        for one in other.classes:
            # A class that was not listed scored at most the last one.
            known = scores.get(one.class_id, min(scores.values()))
            off = max(off, abs(one.score - known))
    return _up(max(_SCORE[precision] * size, _TIMES * off))


def _objects(
    precision: Precision, answer: ExpectedObjects, changed: Sequence[ExpectedObjects], pixel: float
) -> tuple[ExpectedObjects, Tolerance]:
    unsteady: set[int] = set()
    appeared = []
    score_off = box_off = 0.0
    for other in changed:
        matched = pairs(answer.objects, other.objects)
        unsteady |= set(range(len(answer.objects))) - {i for i, _ in matched}
        for i, j in matched:
            mine, theirs = answer.objects[i], other.objects[j]
            if abs(mine.score - theirs.score) > _UNSTEADY:
                unsteady.add(i)
                continue
            score_off = max(score_off, abs(mine.score - theirs.score))
            box_off = max(box_off, *(abs(a - b) for a, b in zip(mine.box, theirs.box, strict=True)))
        new = set(range(len(other.objects))) - {j for _, j in matched}
        appeared += [other.objects[j].model_copy(update={"steady": False}) for j in sorted(new)]
    kept = [one.model_copy(update={"steady": i not in unsteady}) for i, one in enumerate(answer.objects)]
    for one in appeared:
        if not any(k.class_id == one.class_id and iou(k.box, one.box) >= SAME_OBJECT_IOU for k in kept):
            kept.append(one)
    tolerance = Tolerance(
        score=_up(max(_SCORE[precision], _TIMES * score_off)), box=_up(max(1.0, 1.0 * pixel, _TIMES * box_off))
    )
    return ExpectedObjects(kind="detections", objects=tuple(kept)), tolerance


def _up(value: float) -> float:
    return math.ceil(value * 1000 - 1e-6) / 1000
