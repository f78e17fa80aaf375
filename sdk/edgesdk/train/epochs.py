"""The batches of each epoch: in which order, and how varied.

Both follow from seed and epoch alone, so that a resumed training sees the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from edgesdk.train.augment import Variation
from edgesdk.train.batch import Batch, ExampleSet


class EpochBatches:
    """What is trained on, epoch after epoch.

    Args:
        size: pictures a batch at most; those of an epoch differ by one at the most, since a last batch of one or two pictures would
            make a batch norm's statistics worthless. None is of one picture, which a batch norm refuses, unless `size` is 1: where
            an odd number of pictures goes in twos, one batch has three.
        variation: how each picture is varied.
        epoch: tells which epoch it is when one begins.
    """

    def __init__(
        self, examples: ExampleSet, size: int, *, seed: int, variation: Variation | None, epoch: Callable[[], int]
    ) -> None:
        self._examples, self._size, self._seed = examples, size, seed
        self._variation, self._epoch = variation, epoch

    def __len__(self) -> int:
        count = len(self._examples)
        return math.ceil(count / self._size) if self._size != 2 else max(1, count // 2)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch that begins."""
        import torch

        epoch = self._epoch()
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._examples))
        wanted = [part.tolist() for part in np.array_split(order, len(self))]
        for number, batch in enumerate(self._examples.batches(wanted)):
            if self._variation is None:
                yield batch
                continue
            (drawn,) = np.random.SeedSequence([self._seed, epoch, number]).generate_state(1, np.uint64)
            generator = torch.Generator().manual_seed(int(drawn >> np.uint64(1)))
            yield self._variation(batch, generator)


class InOrder:
    """What is validated on: all pictures, in their order, as they are."""

    def __init__(self, examples: ExampleSet, size: int) -> None:
        self._examples, self._size = examples, size

    def __len__(self) -> int:
        return math.ceil(len(self._examples) / self._size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        count = len(self._examples)
        return self._examples.batches(
            range(first, min(first + self._size, count)) for first in range(0, count, self._size)
        )
