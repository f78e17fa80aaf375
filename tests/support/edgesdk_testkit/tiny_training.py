"""Trainings of a second: blobs of light that a small network tells apart, drawn and not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgesdk.train.batch import Batch
from edgesdk.train.examples import Examples
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    from torch import nn

SIDE, CLASSES = 8, 3
SPEC = Preprocess(color="gray", resize="stretch", size=(SIDE, SIDE), mean=(0.0,), std=(255.0,))
TENSOR = TensorSpec(name="image", shape=(1, 1, SIDE, SIDE), layout="NCHW")


class Blobs:
    """Pictures (1, 8, 8) of 0..1 with light in one of three corners, under noise; an `ExampleSet`."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(CLASSES, size=count)
        self.images = rng.normal(0.3, 0.15, (count, 1, SIDE, SIDE)).astype(np.float32)
        for image, label in zip(self.images, self.labels, strict=True):
            top, left = divmod(int(label), 2)
            image[0, top * 4 : top * 4 + 4, left * 4 : left * 4 + 4] += 0.3

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[Batch]:
        import torch

        for numbers in wanted:
            chosen = list(numbers)
            yield Batch(torch.from_numpy(self.images[chosen]), torch.from_numpy(self.labels[chosen]))


def blobs(count: int = 96) -> Examples:
    """Return examples to learn from and to judge by."""
    names = tuple(str(i) for i in range(CLASSES))
    return Examples("classify", names, Blobs(count, 1), Blobs(48, 2), SPEC, TENSOR)


def small_model(seed: int = 3) -> nn.Module:
    """Return an untrained network with everything that has a state: a norm, and dropout that draws random numbers."""
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(64, CLASSES),
        )
