"""What a model is shown at once, and what is true of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TextTargets:
    """The texts of a batch, as numbers of the card's labels.

    Attributes:
        symbols: (S,) int64, all texts one after the other.
        lengths: (B,) int64, how many of them are each text's.
    """

    symbols: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> TextTargets:
        """Return the same on a device."""
        return TextTargets(self.symbols.to(device), self.lengths.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class BoxTargets:
    """The objects in each picture of a batch.

    Attributes:
        boxes: of each picture (M, 4) float32, x1 y1 x2 y2 in pixels of the model's input.
        class_ids: of each picture (M,) int64.
        crowd: of each picture (M,) bool, boxes that stand for a group.
    """

    boxes: tuple[Tensor, ...]
    class_ids: tuple[Tensor, ...]
    crowd: tuple[Tensor, ...]

    def to(self, device: torch.device) -> BoxTargets:
        """Return the same on a device."""
        return BoxTargets(*(tuple(t.to(device) for t in part) for part in (self.boxes, self.class_ids, self.crowd)))


# Of a classifier (B,) int64, or (B, C) float32 that add up to 1 where several classes are right for a picture; of a regression
# (B, K) float32.
Targets = Union["Tensor", TextTargets, BoxTargets]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures and what is true of them.

    Attributes:
        images: (B, C, H, W), or (B, H, W, C) where the card's layout says so; float32, or as the card's dtype.
    """

    images: Tensor
    targets: Targets

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Batch:
        """Return the same on a device."""
        return Batch(self.images.to(device), self.targets.to(device))


class ExampleSet(Protocol):
    """Labelled pictures that can be asked for in any order; of a folder, or drawn by a program.

    A training that goes on knows such a set by its length alone, unless it is `ListedExamples`, too.
    """

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Yield a batch for each list of numbers, in order; the same number is the same picture."""
        ...


@runtime_checkable
class ListedExamples(ExampleSet, Protocol):
    """Examples of which all truth is known before a picture is read."""

    def digest(self) -> str:
        """Return what is the same for the same pictures and truth: a training goes on with no other."""
        ...

    def targets(self) -> Targets | None:
        """Return what is true of all of them, in order; None where it depends on how a picture is prepared (boxes)."""
        ...
