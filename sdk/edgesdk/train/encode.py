"""From a labelled picture to what a loss compares with, alone and in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Union, cast

import numpy as np

from edgesdk.layouts.samples import BoxSample, ClassSample, Sample, TextSample, ValueSample
from edgesdk.train.batch import BoxTargets, Targets, TextTargets
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 5
# The truth of one picture: classes that are right, numbers of labels, numbers, or (boxes, classes, crowd).
Encoded = Union[frozenset[int], tuple[int, ...], tuple[float, ...], tuple[Array, Array, Array]]  # noqa: UP007  (Python 3.10)


def check_texts(samples: Sequence[Sample], labels: tuple[str, ...]) -> None:
    """Refuse texts that the model's labels cannot write.

    Raises:
        InputError: the card has no labels, a text is empty, or it holds a character that is none of them.
    """
    if not labels:
        raise InputError(
            "The card has no labels.", hint="Name them: one character a line, in the order of the classes."
        )
    unknown: dict[str, str] = {}
    for sample in cast("Sequence[TextSample]", samples):
        if not sample.text:
            raise InputError(f"{sample.path} has no text.", hint="Leave it out, or write what it says in labels.csv.")
        for character in sample.text:
            if character not in labels:
                unknown.setdefault(character, str(sample.path))
    if unknown:
        listed = ", ".join(repr(character) for character in list(unknown)[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise InputError(
            f"The texts hold characters that the model has no label for: {listed}{more}; the first in "
            f"{next(iter(unknown.values()))}.",
            hint="Add them to the card's labels (and to the model), or leave these pictures out.",
        )


def encode(
    sample: Sample, labels: tuple[str, ...], geometry: Geometry | None, size: tuple[int, int] = (0, 0)
) -> Encoded:
    """Return what is true of one picture.

    Args:
        geometry: from the picture to the model's input; needed for boxes only.
        size: height and width of that input; likewise.
    """
    if isinstance(sample, ClassSample):
        return sample.accepted
    if isinstance(sample, TextSample):
        numbers = {label: i for i, label in reversed(list(enumerate(labels)))}
        return tuple(numbers[character] for character in sample.text)
    if isinstance(sample, ValueSample):
        return sample.values
    assert geometry is not None  # noqa: S101  (boxes are encoded with the picture)
    return _boxes(sample, geometry, size)


def _boxes(sample: BoxSample, geometry: Geometry, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return a picture's boxes in pixels of the model's input, without those that lie outside of it."""
    truth = sample.truth
    height, width = geometry.image_size
    boxes = truth.boxes * np.array([width, height] * 2) if sample.fractions else truth.boxes
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.offset_x, geometry.offset_y] * 2)
    crowd = truth.crowd if truth.crowd is not None else np.zeros(len(boxes), bool)
    placed = (boxes * scale + offset).astype(np.float32)
    inside = (placed[:, 2:] > 0).all(axis=1) & (placed[:, :2] < np.array(size[::-1])).all(axis=1)
    return placed[inside], truth.class_ids[inside], crowd[inside]


def together(task: str, encoded: Sequence[Encoded], classes: int) -> Targets:
    """Return the targets of a batch.

    Args:
        classes: how many there are, for pictures of which several are right.
    """
    import torch

    if task == "text":
        texts = cast("Sequence[tuple[int, ...]]", encoded)
        symbols = torch.tensor([number for text in texts for number in text], dtype=torch.int64)
        return TextTargets(symbols, torch.tensor([len(text) for text in texts], dtype=torch.int64))
    if task == "detect":
        return _boxes_together(cast("Sequence[tuple[Array, Array, Array]]", encoded))
    if task == "regress":
        return torch.tensor(cast("Sequence[tuple[float, ...]]", encoded), dtype=torch.float32)
    return _classes_together(cast("Sequence[frozenset[int]]", encoded), classes)


def _classes_together(accepted: Sequence[frozenset[int]], classes: int) -> Tensor:
    import torch

    if all(len(one) == 1 for one in accepted):
        return torch.tensor([next(iter(one)) for one in accepted], dtype=torch.int64)
    out = torch.zeros(len(accepted), classes)
    for row, one in enumerate(accepted):
        out[row, sorted(one)] = 1 / len(one)
    return out


def _boxes_together(encoded: Sequence[tuple[Array, Array, Array]]) -> BoxTargets:
    import torch

    columns = [
        tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in part) for part in zip(*encoded, strict=True)
    ]
    return BoxTargets(*columns)
