"""How far two decoded answers are apart, and whether that is allowed.

What lies at a threshold may fall on either side of it: a detection whose score is within the tolerance of the score threshold
may come or go; of two classes that score alike either may be the first; of two boxes that overlap as much as the
suppression allows, the weaker may be kept or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.golden.expected_result import (
    ExpectedClasses,
    ExpectedObject,
    ExpectedObjects,
    ExpectedText,
    ExpectedValues,
    ExpectedVector,
    Tolerance,
)

SAME_OBJECT_IOU = 0.5
_SAME_BOX_IOU = 0.9
_IOU_SLACK = 0.1


def difference(wanted: Any, got: Any, tolerance: Tolerance, settings: Postprocess) -> str | None:
    """Return what is different between two `ExpectedResult`, in words; None where nothing is.

    Args:
        settings: of the decoder that gave both.
    """
    if isinstance(wanted, ExpectedClasses) and isinstance(got, ExpectedClasses):
        return _classes(wanted, got, tolerance)
    if isinstance(wanted, ExpectedObjects) and isinstance(got, ExpectedObjects):
        return _objects(wanted, got, tolerance, settings)
    if isinstance(wanted, ExpectedText) and isinstance(got, ExpectedText):
        return _text(wanted, got)
    if isinstance(wanted, ExpectedVector) and isinstance(got, ExpectedVector):
        return _vector(wanted, got, tolerance)
    if isinstance(wanted, ExpectedValues) and isinstance(got, ExpectedValues):
        return _values(wanted, got, tolerance)
    return f"it is a {got.kind} and not a {wanted.kind}"


def _classes(wanted: ExpectedClasses, got: ExpectedClasses, tolerance: Tolerance) -> str | None:
    mine, theirs = ({one.class_id: one.score for one in side.classes} for side in (wanted, got))
    if len(mine) != len(theirs):
        return f"{len(theirs)} classes and not {len(mine)}"
    names = {one.class_id: one.label for one in wanted.classes}
    for one in got.classes:
        if names.get(one.class_id, one.label) != one.label:
            return f"class {one.class_id} is called {one.label!r} and not {names[one.class_id]!r}"
    for one in (*wanted.classes, *got.classes):
        name = one.label or one.class_id
        a, b = mine.get(one.class_id), theirs.get(one.class_id)
        # Of a class that one side does not list, its score is known to be at most the last one listed there.
        if a is None and b is not None and b > min(mine.values()) + tolerance.score:
            return f"{name} scores {b:.3f} and was not among the best"
        if b is None and a is not None and a > min(theirs.values()) + tolerance.score:
            return f"{name} scored {a:.3f} and is not among the best"
        if a is not None and b is not None and not abs(a - b) <= tolerance.score:
            return f"{name} scores {b:.3f} and not {a:.3f}"
    return None


def pairs(wanted: Sequence[ExpectedObject], got: Sequence[ExpectedObject]) -> list[tuple[int, int]]:
    """Match objects of the same class by overlap, the best overlaps first; each object once."""
    every = [
        (iou(mine.box, theirs.box), i, j)
        for i, mine in enumerate(wanted)
        for j, theirs in enumerate(got)
        if mine.class_id == theirs.class_id
    ]
    found: list[tuple[int, int]] = []
    for overlap, i, j in sorted(every, key=lambda one: (-one[0], one[1], one[2])):
        if overlap >= SAME_OBJECT_IOU and all(i != a and j != b for a, b in found):
            found.append((i, j))
    return found


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes x1 y1 x2 y2."""
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared) if areas > shared else 0.0


def _objects(wanted: ExpectedObjects, got: ExpectedObjects, tolerance: Tolerance, settings: Postprocess) -> str | None:
    close = []
    for i, j in pairs(wanted.objects, got.objects):
        mine, theirs = wanted.objects[i], got.objects[j]
        if mine.label != theirs.label:
            return f"class {mine.class_id} is called {theirs.label!r} and not {mine.label!r}"
        off = max(abs(a - b) for a, b in zip(mine.box, theirs.box, strict=True))
        same_box = off <= tolerance.box or iou(mine.box, theirs.box) >= _SAME_BOX_IOU
        if mine.steady and not same_box:
            return f"a {_name(mine)} is {off:.1f} pixels off"
        if mine.steady and not abs(mine.score - theirs.score) <= tolerance.score:
            return f"a {_name(mine)} scores {theirs.score:.3f} and not {mine.score:.3f}"
        close.append((mine, theirs))
    lost = [one for one in wanted.objects if one.steady and all(one is not mine for mine, _ in close)]
    new = [one for one in got.objects if all(one is not theirs for _, theirs in close)]
    full = settings.max_detections
    for side, others, word in ((lost, got.objects, "is not found"), (new, wanted.objects, "is found beside")):
        floor = settings.score_threshold
        if len(others) >= full:
            floor = max(floor, min(one.score for one in others))
        for one in side:
            low = settings.score_threshold - tolerance.score
            at_threshold = low <= one.score <= floor + tolerance.score
            if not at_threshold and not _suppressed(one, close, settings.iou_threshold):
                return f"a {_name(one)} of score {one.score:.3f} {word}"
    return None


def _suppressed(
    one: ExpectedObject, close: Sequence[tuple[ExpectedObject, ExpectedObject]], iou_threshold: float
) -> bool:
    """Tell whether an object overlaps one that both sides found just so much that a trifle decides over it."""
    overlaps = [iou(other.box, one.box) for pair in close for other in pair if other.class_id == one.class_id]
    return bool(overlaps) and abs(max(overlaps) - iou_threshold) <= _IOU_SLACK


def _name(one: ExpectedObject) -> str:
    return one.label or f"class {one.class_id}"


def _text(wanted: ExpectedText, got: ExpectedText) -> str | None:
    if edits(wanted.text, got.text) <= wanted.unsure:
        return None
    return f"{got.text!r} is read and not {wanted.text!r}"


def edits(a: str, b: str) -> int:
    """Return how many characters must be put in, left out or changed to make `b` of `a`."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def cosine_off(a: Sequence[float], b: Sequence[float]) -> float:
    """Return 1 - cosine; 2 where one has no direction and the other has."""
    if len(a) != len(b):
        return 2.0
    norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    if norms == 0.0:
        return 0.0 if list(a) == list(b) else 2.0
    return 1.0 - math.fsum(x * y for x, y in zip(a, b, strict=True)) / norms


def _vector(wanted: ExpectedVector, got: ExpectedVector, tolerance: Tolerance) -> str | None:
    off = cosine_off(wanted.vector, got.vector)
    return None if off <= tolerance.cosine else f"the embedding points elsewhere: cosine {1 - off:.4f}"


def _values(wanted: ExpectedValues, got: ExpectedValues, tolerance: Tolerance) -> str | None:
    if wanted.values.keys() != got.values.keys():
        return f"the values are {sorted(got.values)} and not {sorted(wanted.values)}"
    for name, value in wanted.values.items():
        if not abs(got.values[name] - value) <= tolerance.value:
            return f"{name} is {got.values[name]:.4g} and not {value:.4g}"
    return None
