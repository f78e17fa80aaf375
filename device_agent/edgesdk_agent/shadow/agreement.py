"""How far a candidate's answer is from that of the model that runs. Whose is right nobody knows on a device.

Answers are compared by the names of what was seen, so that a candidate may number its classes otherwise. An object that only
just passes the threshold may come or go, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from edgesdk_targets.golden.expected_result import (
    ExpectedClasses,
    ExpectedObject,
    ExpectedObjects,
    ExpectedText,
    ExpectedValues,
    ExpectedVector,
    expected_from,
)
from edgesdk_targets.golden.result_distance import cosine_off, edits, pairs
from edgesdk_targets.results import Chained, Result
from edgesdk_targets.tensor import Array

# Above its threshold by less than this, an object is not sure.
_UNSURE = 0.1
_COSINE_OFF = 0.05
# Of an estimated number's spread so far, which needs so many to be known.
_VALUE_OFF, _SPREAD_KNOWN = 0.1, 8


@dataclass(frozen=True, slots=True)
class Difference:
    """whole: 0 where both say the same, 1 where nothing agrees; None where neither says anything. classes: of each one seen."""

    whole: float | None
    classes: Mapping[str, float] = field(default_factory=dict)


class Agreement:
    """Compares answers, one after the other.

    Args:
        score_threshold: of a detector.
    """

    def __init__(self, score_threshold: float = 0.0) -> None:
        self._sure = score_threshold + _UNSURE
        self._seen: list[list[float]] = []

    def difference(self, running: Result, candidate: Result) -> Difference:
        """Return how far the candidate's answer is from the running model's."""
        try:
            wanted = expected_from(_first(running))
        except ValidationError:
            return Difference(None)
        try:
            got = expected_from(_first(candidate))
        except ValidationError:
            # Numbers that are not finite.
            return Difference(1.0)
        if isinstance(wanted, ExpectedObjects) and isinstance(got, ExpectedObjects):
            return self._objects(wanted.objects, got.objects)
        if isinstance(wanted, ExpectedClasses) and isinstance(got, ExpectedClasses):
            return _classes(wanted, got)
        if isinstance(wanted, ExpectedText) and isinstance(got, ExpectedText):
            longest = max(len(wanted.text), len(got.text))
            return Difference(edits(wanted.text, got.text) / longest if longest else None)
        if isinstance(wanted, ExpectedVector) and isinstance(got, ExpectedVector):
            return Difference(float(not cosine_off(wanted.vector, got.vector) <= _COSINE_OFF))
        if isinstance(wanted, ExpectedValues) and isinstance(got, ExpectedValues):
            return self._values(wanted.values, got.values)
        return Difference(1.0)

    def _objects(self, wanted: Iterable[ExpectedObject], got: Iterable[ExpectedObject]) -> Difference:
        mine, theirs = _by_name((*wanted,), (*got,))
        found = pairs(mine, theirs)
        matched = {i for i, _ in found}, {j for _, j in found}
        # What one side has alone counts where it is sure.
        shown = [one for i, one in enumerate(mine) if i in matched[0] or one.score >= self._sure]
        more = [one for j, one in enumerate(theirs) if j not in matched[1] and one.score >= self._sure]
        if not shown and not more:
            return Difference(None)
        whole = 1 - 2 * len(found) / (len(shown) + len(found) + len(more))
        hits = [mine[i] for i, _ in found]
        classes: dict[str, float] = {}
        for label in {one.label or str(one.class_id) for one in shown}:
            seen, hit = (sum((o.label or str(o.class_id)) == label for o in side) for side in (shown, hits))
            classes[label] = 1 - hit / seen
        return Difference(whole, classes)

    def _values(self, wanted: Mapping[str, float], got: Mapping[str, float]) -> Difference:
        if wanted.keys() != got.keys():
            return Difference(1.0)
        known, self._seen = self._seen, [*self._seen, [*wanted.values()]][-1000:]
        if len(known) < _SPREAD_KNOWN:
            return Difference(None)
        spread = np.std(np.asarray(known), axis=0)
        off = np.abs(_array(got, wanted) - _array(wanted, wanted))
        return Difference(float((off > _VALUE_OFF * spread + 1e-9).mean()))


def _first(result: Result) -> Result:
    """Return the answer of the first model, of a chain what it found."""
    return result.detections if isinstance(result, Chained) else result


def _classes(wanted: ExpectedClasses, got: ExpectedClasses) -> Difference:
    mine, theirs = (one.classes[0] if one.classes else None for one in (wanted, got))
    if mine is None:
        return Difference(None)
    name = mine.label or str(mine.class_id)
    differs = float(theirs is None or (theirs.label or str(theirs.class_id)) != name)
    return Difference(differs, {name: differs})


def _by_name(*sides: tuple[ExpectedObject, ...]) -> list[list[ExpectedObject]]:
    """Number the classes of both sides by their names."""
    names: dict[str, int] = {}
    return [
        [
            one.model_copy(update={"class_id": names.setdefault(one.label or str(one.class_id), len(names))})
            for one in side
        ]
        for side in sides
    ]


def _array(values: Mapping[str, Any], names: Iterable[str]) -> Array:
    return np.asarray([values[name] for name in names], np.float64)
