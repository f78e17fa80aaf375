"""Which classes the pictures of a dataset are of, and which never occur in it."""

from __future__ import annotations

from collections.abc import Iterable
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
    return _absent([name for i, name in enumerate(dataset.labels) if i not in present], len(dataset.labels), "classes")


def absent_characters(dataset: Dataset, truth: Iterable[str]) -> tuple[str, ...]:
    """Return the warning about a reader's characters that no text holds, or none."""
    present = set().union(*truth)
    absent = [repr(name) for name in dataset.labels if not present.intersection(name)]
    return _absent(absent, len(dataset.labels), "characters")


def _absent(names: list[str], of: int, what: str) -> tuple[str, ...]:
    if not names:
        return ()
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    said = f"{len(names)} of {of} {what} never occur in the data: {', '.join(names[:_SHOWN])}{more};"
    return (f"{said} nothing is known about them, and no verdict counts them.",)
