"""Which classes the pictures of a dataset are of."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.dataset import Dataset
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_SHOWN = 8


def class_numbers(dataset: Dataset) -> Array:
    """Return the class of each picture, (n,) int64; of several that are right, the first.

    Raises:
        InputError: all pictures are of one class, among which nothing can be found.
    """
    classes = np.asarray([min(sample.accepted) for sample in cast("tuple[ClassSample, ...]", dataset.samples)])
    if dataset.task == "embed" and len(np.unique(classes)) < 2:
        raise InputError("All pictures are of one class.", hint="Give two classes or more, with two pictures each.")
    return classes


def absent_classes(dataset: Dataset, present: set[int]) -> tuple[str, ...]:
    """Return the warning about classes without samples, or none."""
    absent = [name for i, name in enumerate(dataset.labels) if i not in present]
    if not absent:
        return ()
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    listed = ", ".join(absent[:_SHOWN])
    said = f"{len(absent)} of {len(dataset.labels)} classes never occur in the data: {listed}{more};"
    return (f"{said} nothing is known about them.",)
