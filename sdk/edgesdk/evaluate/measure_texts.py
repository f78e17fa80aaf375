"""The figures of a reader."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.label_check import doubt, misplaced_texts
from edgesdk.evaluate.labelled_classes import absent_characters
from edgesdk.evaluate.metrics.bootstrap import rate, share
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk.evaluate.text_error import character_errors, true_lengths, word_errors
from edgesdk.layouts.samples import TextSample
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array


def cer(dataset: Dataset, answers: Answers, units: Array) -> Metric:
    """Return the character error rate.

    Raises:
        InputError: no truth holds a character.
        MissingExtra: rapidfuzz is not installed.
    """
    read, truth = _texts(dataset, answers)
    return rate(character_errors(read, truth), true_lengths(truth), units)


def measure_texts(dataset: Dataset, answers: Answers, units: Array) -> Scorecard:
    """Return the figures of a reader.

    Raises:
        InputError: no truth holds a character.
        MissingExtra: rapidfuzz is not installed.
    """
    read, truth = _texts(dataset, answers)
    metrics = {
        "cer": cer(dataset, answers, units),
        "wer": rate(word_errors(read, truth), np.asarray([len(text.split()) for text in truth]), units),
        "word_accuracy": share(np.asarray([a == b for a, b in zip(read, truth, strict=True)]), units),
        "word_accuracy_ignoring_case": share(
            np.asarray([a.casefold() == b.casefold() for a, b in zip(read, truth, strict=True)]), units
        ),
    }
    doubts = doubt(misplaced_texts(read, truth, metrics["cer"], "the model"))
    return Scorecard(dataset.task, metrics, warnings=(*doubts, *absent_characters(dataset, truth)))


def _texts(dataset: Dataset, answers: Answers) -> tuple[list[str], list[str]]:
    read = [result.text for result in cast("tuple[Text, ...]", answers.results)]
    return read, [sample.text for sample in cast("tuple[TextSample, ...]", dataset.samples)]
