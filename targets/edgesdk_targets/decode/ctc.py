"""Greedy CTC decoding: the best symbol of each step, repetitions joined, blanks left out.

A stream is decoded a few steps at a time: the last symbol of one call is handed to the next, so that a symbol which
goes on across the border is read once.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array


def greedy_ctc(
    probabilities: Array, symbols: tuple[str, ...], blank: int, previous: int | None = None
) -> tuple[str, float, int]:
    """Read a text.

    Args:
        probabilities: (T, C) float32.
        symbols: the text of each of the C indices; the blank's is never used.
        blank: index of the blank.
        previous: the last call's third value; None at the start.

    Returns:
        the text; the geometric mean of its characters' probabilities (each at its best step), 0 without text; and the
        last step's index.
    """
    best = probabilities.argmax(axis=1)
    starts = np.flatnonzero(np.concatenate(([True], best[1:] != best[:-1])))
    values = probabilities[np.arange(len(best)), best]
    peaks = np.maximum.reduceat(values, starts)
    read = best[starts] != blank
    if previous is not None and best[0] == previous:
        read[0] = False
    text = "".join(symbols[i] for i in best[starts][read])
    confidence = 0.0
    if read.any():
        confidence = float(np.exp(np.log(np.maximum(peaks[read], np.float32(1e-30))).mean()))
    return text, confidence, int(best[-1])


def symbols_of(labels: tuple[str, ...], classes: int, blank: int) -> tuple[str, ...] | None:
    """Return the text of each index, or None where the labels do not fit the number of classes.

    Labels either name every index, the blank's too, or all indices but the blank's, in order.
    """
    if not 0 <= blank < classes:
        return None
    if len(labels) == classes:
        return labels
    if len(labels) == classes - 1:
        return (*labels[:blank], "", *labels[blank:])
    return None
