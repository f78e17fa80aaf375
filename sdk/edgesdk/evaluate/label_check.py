"""Whether labels belong to their pictures at all.

An artifact loses nothing against a float model that is wrong everywhere, so labels that slipped by a row would pass any
artifact. They are found in two ways: the float model is no better than chance; or where it is wrong, its answer fits the
label of the picture before or after much more often than that of pictures further away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgesdk_targets.tensor import Array

_LEAST = 5
_SHARE = 0.05
# Pictures further away, with which the neighbours are compared.
_FURTHER = (3, 5, 8)
_MOST = 400


def slipped(fits: Array, fit_with: Callable[[int, int], float]) -> str:
    """Say how the labels slipped, or return "".

    Args:
        fits: (n,) how well the float model's answer to each picture fits its label, 0..1.
        fit_with: how well the answer to one picture fits the label of another.
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
                f"of {len(wrong)} pictures that the float model gets wrong, {found:.0%} fit the label of the picture "
                f"{where} them: the labels slipped by one"
            )
    return ""


def only_guessing(predicted: Sequence[int], accepted: Sequence[frozenset[int]], classes: int) -> str:
    """Say that the float model's classes are no better than chance, or return "".

    Args:
        classes: how many the model has.
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
                f"the float model is right in {right.mean():.0%}, but class number {offset:+d} would be right in "
                f"{moved:.0%}: the labels are counted from another number"
            )
    return f"the float model itself is right in {right.mean():.0%}, no more than by chance ({chance:.0%})"
