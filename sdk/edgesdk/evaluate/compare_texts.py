"""Two readers on the same pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.average_precision import left_out
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import Drop, drop_of_figure, drop_of_shares
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.label_check import misplaced_texts
from edgesdk.evaluate.labelled_classes import absent_characters
from edgesdk.evaluate.limits import Limits
from edgesdk.evaluate.text_error import character_errors, text_metrics
from edgesdk.layouts.samples import TextSample
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array


def compare_texts(dataset: Dataset, reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    """Compare two readers by their character errors, and by whole texts.

    Raises:
        InputError: no truth holds a character.
    """
    results = [cast("tuple[Text, ...]", one.results) for one in (reference, artifact)]
    truth = [sample.text for sample in cast("tuple[TextSample, ...]", dataset.samples)]
    read = [[result.text for result in one] for one in results]
    metrics = [text_metrics(texts, truth) for texts in read]
    errors = [character_errors(texts, truth) for texts in read]
    lengths = np.asarray([len(text) for text in truth])
    worse = errors[1] - errors[0]
    exact = [np.asarray([a == b for a, b in zip(texts, truth, strict=True)], float) for texts in read]
    return Comparison(
        drop=ratio_drop("cer", worse, lengths, units, limits.max_drop),
        reference=metrics[0],
        artifact=metrics[1],
        further=(drop_of_shares("word_accuracy", mean_by_unit(exact[0] - exact[1], units), limits.max_drop),),
        scores={"confidence": (_confidences(results[0]), _confidences(results[1]))},
        harm=worse.astype(float),
        warnings=absent_characters(dataset, truth),
        misplaced=misplaced_texts(read[0], truth, metrics[0]["cer"]),
    )


def ratio_drop(figure: str, worse: Array, sizes: Array, units: Array, limit: float) -> Drop:
    """Return by how much a rate became worse that is a ratio of sums over pictures.

    Args:
        worse: (n,) how much more was wrong in each picture.
        sizes: (n,) of how much.
    """
    blocks = left_out(units).astype(float)
    below = blocks @ sizes
    without = np.divide(blocks @ worse, below, out=np.full(len(blocks), np.nan), where=below > 0)
    return drop_of_figure(figure, float(worse.sum() / sizes.sum()), without, int(units.max()) + 1, limit)


def _confidences(results: tuple[Text, ...]) -> Array:
    return np.asarray([result.confidence for result in results], np.float64)
