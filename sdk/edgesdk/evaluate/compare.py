"""Two models' answers to the same labelled pictures, compared as their task is."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.compare_boxes import compare_boxes
from edgesdk.evaluate.compare_classes import compare_classes
from edgesdk.evaluate.compare_texts import compare_texts
from edgesdk.evaluate.compare_vectors import compare_embeddings, compare_values
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.limits import Limits
from edgesdk_targets.tensor import Array

_COMPARES: dict[str, Callable[[Dataset, Answers, Answers, Array, Limits], Comparison]] = {
    "classify": compare_classes,
    "detect": compare_boxes,
    "text": compare_texts,
    "embed": compare_embeddings,
    "regress": compare_values,
}


def compare_labelled(dataset: Dataset, before: Answers, after: Answers, units: Array, limits: Limits) -> Comparison:
    """Compare two models.

    Args:
        before, after: answers of the dataset's task to all its pictures, in its order.
        units: (n,) which pictures belong together.

    Raises:
        InputError: the dataset holds nothing that could be compared.
    """
    return _COMPARES[dataset.task](dataset, before, after, units, limits)
