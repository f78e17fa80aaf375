"""Whether labels belong to their pictures at all.

An artifact loses nothing against a float model that is wrong everywhere, so labels that slipped by a row would pass any
artifact. They are found in two ways: the float model is no better than chance; or where it is wrong, its answer fits the
label of the picture before or after much more often than that of pictures further away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.naming import FLOAT, the
from edgesdk.evaluate.text_error import character_errors
from edgesdk_targets.tensor import Array

_LEAST = 5
# The share of characters that a reader gets wrong which reads something else.
_NOTHING_READ = 0.9
# Of a model that knows the labelled objects at all.
_LEAST_AP = 0.02
_SHARE = 0.05
# Pictures further away, with which the neighbours are compared.
_FURTHER = (3, 5, 8)
_MOST = 400


def doubt(misplaced: str) -> tuple[str, ...]:
    """Return the warning that a figure says little of the model, or none."""
    return (f"The labels do not seem to belong to these pictures: {misplaced}.",) if misplaced else ()


def slipped(fits: Array, fit_with: Callable[[int, int], float], model: str = the(FLOAT)) -> str:
    """Say how the labels slipped, or return "".

    Args:
        fits: (n,) how well the model's answer to each picture fits its label, 0..1.
        fit_with: how well the answer to one picture fits the label of another.
        model: what the sentence calls it.
    """
    n = len(fits)
    wrong = np.flatnonzero(fits < 0.5)[:_MOST]
    if len(wrong) < max(_LEAST, _SHARE * min(n, _MOST)) or n <= 2 * max(_FURTHER):
        return ""

    def share(step: int) -> float:
        with_label = [i for i in wrong if 0 <= i + step < n]
        return float(np.mean([fit_with(int(i), int(i) + step) >= max(0.5, fits[i] + 0.25) for i in with_label] or [0]))

    chance = max(share(step * side) for step in _FURTHER for side in (-1, 1))
    for side, where in ((-1, "before"), (1, "after")):
        found = share(side)
        if found >= 0.5 and found * len(wrong) >= _LEAST and found > chance + 0.25:
            return (
                f"of {len(wrong)} pictures that {model} gets wrong, {found:.0%} fit the label of the picture "
                f"{where} them: the labels slipped by one"
            )
    return ""


def only_guessing(
    predicted: Sequence[int], accepted: Sequence[frozenset[int]], classes: int, model: str = the(FLOAT)
) -> str:
    """Say that the model's classes are no better than chance, or return "".

    Args:
        classes: how many the model has.
        model: what the sentence calls it.
    """
    n = len(predicted)
    right = np.asarray([p in a for p, a in zip(predicted, accepted, strict=True)])
    shares = np.bincount(np.asarray(predicted), minlength=classes) / n
    chances = np.asarray([sum(shares[c] for c in a if c < len(shares)) for a in accepted])
    chance = float(chances.mean())
    error = float(np.sqrt(max(chance * (1 - chance), 1e-9) / n))
    if n < _LEAST or len(set(accepted)) < 2 or chance > 0.9 or right.mean() > chance + 2 * error:
        return ""
    for offset in (1, -1):
        moved = np.mean([p + offset in a for p, a in zip(predicted, accepted, strict=True)])
        if moved > max(0.5, chance + 4 * error):
            return (
                f"{model} is right in {right.mean():.0%}, but class number {offset:+d} would be right in "
                f"{moved:.0%}: the labels are counted from another number"
            )
    return f"{model} itself is right in {right.mean():.0%}, no more than by chance ({chance:.0%})"


def misplaced_classes(
    predicted: Sequence[int], accepted: Sequence[frozenset[int]], classes: int, model: str = the(FLOAT)
) -> str:
    """Say why a classifier's labels seem not to belong to the pictures, or return "".

    Args:
        predicted: the best class of each picture.
        accepted: those that are right for it.
        classes: how many the model has.
        model: what the sentence calls it.
    """
    known = max(classes, *(max(a) + 1 for a in accepted), max(predicted) + 1)
    right = np.asarray([p in a for p, a in zip(predicted, accepted, strict=True)], float)
    return only_guessing(predicted, accepted, known, model) or slipped(
        right, lambda i, j: float(predicted[i] in accepted[j]), model
    )


def misplaced_texts(read: Sequence[str], truth: Sequence[str], cer: Metric, model: str = the(FLOAT)) -> str:
    """Say why a reader's labels seem not to belong to the pictures, or return "".

    Args:
        cer: its character errors.
        model: what the sentence calls it.
    """

    def fit_with(i: int, j: int) -> float:
        return 1 - float(character_errors([read[i]], [truth[j]])[0]) / max(1, len(truth[j]))

    lengths = np.asarray([len(text) for text in truth])
    fits = 1 - character_errors(list(read), list(truth)) / np.maximum(lengths, 1)
    if reason := slipped(fits, fit_with, model):
        return reason
    return f"{model} itself reads next to nothing of it (CER {cer.value:.2f})" if cer.low > _NOTHING_READ else ""


def misplaced_values(values: Array, truth: Array, spread: Array, error: Metric, model: str = the(FLOAT)) -> str:
    """Say why an estimator's labels seem not to belong to the pictures, or return "".

    Args:
        values, truth: (n, numbers).
        spread: (numbers,) how much the true ones differ.
        error: its relative error.
        model: what the sentence calls it.
    """

    def fit_with(i: int, j: int) -> float:
        return 1 - float((np.abs(values[i] - truth[j]) / spread).mean())

    fits = 1 - (np.abs(values - truth) / spread).mean(axis=1)
    if reason := slipped(fits, fit_with, model):
        return reason
    return f"{model} itself is no better than always giving the median of the labels" if error.low >= 1 else ""


def next_to_nothing(ap50: Metric, model: str = the(FLOAT)) -> str:
    """Say that a detector finds next to nothing of what is labelled, or return ""."""
    if ap50.high > _LEAST_AP:
        return ""
    return f"{model} itself finds next to nothing of what is labelled (AP50 {ap50.value:.3f})"
