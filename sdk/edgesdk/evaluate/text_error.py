"""How wrong a reader reads: character errors, word errors, and whole texts.

The character error rate is the number of insertions, deletions and substitutions over all texts, divided by the number
of true characters: a long text weighs more than a short one. The word error rate counts words, parted by white space, in
the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.evaluate.intervals import Metric, proportion, ratio_of_sums
from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.tensor import Array


def text_metrics(read: Sequence[str], truth: Sequence[str]) -> dict[str, Metric]:
    """Return `cer`, `word_accuracy` and `word_accuracy_ignoring_case`.

    Args:
        read: what the model read, at least one.
        truth: what is there, as many.

    Raises:
        InputError: no truth holds a character.
        MissingExtra: rapidfuzz is not installed.
    """
    lengths = true_lengths(truth)
    pairs = list(zip(read, truth, strict=True))
    errors = character_errors(read, truth)
    exact = sum(a == b for a, b in pairs)
    loose = sum(a.casefold() == b.casefold() for a, b in pairs)
    return {
        "cer": ratio_of_sums(errors, lengths),
        "word_accuracy": proportion(exact, len(pairs)),
        "word_accuracy_ignoring_case": proportion(loose, len(pairs)),
    }


def true_lengths(truth: Sequence[str]) -> Array:
    """Return how many characters each true text has, (n,) int64.

    Raises:
        InputError: none holds a character.
    """
    lengths = np.asarray([len(text) for text in truth])
    if not lengths.any():
        raise InputError("No labelled text holds a character.", hint="Fill the `text` column of labels.csv.")
    return lengths


def character_errors(read: Sequence[str], truth: Sequence[str]) -> Array:
    """Return how many characters have to be put in, taken out or replaced in each text, (n,) int64.

    Raises:
        MissingExtra: rapidfuzz is not installed.
    """
    return _edits(read, truth)


def word_errors(read: Sequence[str], truth: Sequence[str]) -> Array:
    """Return how many words have to be put in, taken out or replaced in each text, (n,) int64.

    Raises:
        MissingExtra: rapidfuzz is not installed.
    """
    return _edits([text.split() for text in read], [text.split() for text in truth])


def _edits(read: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> Array:
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise MissingExtra("rapidfuzz", "evaluate") from error
    return np.asarray([Levenshtein.distance(a, b) for a, b in zip(read, truth, strict=True)], np.int64)
