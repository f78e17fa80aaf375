"""What the epochs of a training are told apart by: the figure of the task, on the validation pictures.

These are quick and rough; `edgesdk evaluate` measures the finished model as its device answers, with intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from edgesdk.train.batch import TextTargets
from edgesdk.train.found_boxes import MatchedBoxes, ap50_of
from edgesdk.train.losses import class_targets, first_after, steps_of
from edgesdk.train.moment import Moment
from edgesdk_targets.card import CardFile

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of the validation pictures.

    Attributes:
        each: moment → (B,) float, the figure of each picture, of which the mean counts; or what `of_all` makes it of.
        of_all: what `each` returned for every batch → the figure; None for the mean.
    """

    name: str
    higher_is_better: bool
    each: Callable[[Moment], Any]
    of_all: Callable[[Sequence[Any]], float] | None = None


def measure_for(card: CardFile) -> Measure | None:
    """Return the figure of a card's task; None where the validation loss has to do (embedding)."""
    task = card.card.task
    if task == "classify":
        return Measure("accuracy", higher_is_better=True, each=right_class)
    if task == "text":
        return Measure("word_accuracy", higher_is_better=True, each=RightText(card.labels, card.card.postprocess.blank))
    if task == "regress":
        return Measure("mse", higher_is_better=False, each=_squared_errors)
    if task == "detect":
        return Measure("ap50", higher_is_better=True, each=MatchedBoxes(card), of_all=ap50_of)
    return None


def right_class(moment: Moment) -> Tensor:
    """Return 1 where a picture's best class is one that is right, else 0."""
    best, targets = moment.answer.argmax(1), cast("Tensor", moment.targets)
    if targets.ndim == 1:
        return (best == targets).float()
    return (class_targets(targets, moment.answer.shape[1]).gather(1, best[:, None])[:, 0] > 0).float()


@dataclass(frozen=True, slots=True)
class RightText:
    """1 where a text is read without an error by greedy decoding, else 0."""

    labels: tuple[str, ...]
    blank: int = 0

    def __call__(self, moment: Moment) -> Tensor:
        """Return (B,) float."""
        import torch

        targets = cast("TextTargets", moment.targets)
        scores = steps_of(moment.answer, len(moment.images))
        behind = first_after(self.blank, self.labels, scores.shape[2])
        truth, first, right = targets.symbols.tolist(), 0, []
        for best, length in zip(scores.argmax(2), targets.lengths.tolist(), strict=True):
            joined = torch.unique_consecutive(best)
            read = [symbol - (symbol > behind) for symbol in joined.tolist() if symbol != self.blank]
            right.append(read == truth[first : first + length])
            first += length
        return torch.tensor(right, dtype=torch.float32, device=scores.device)


def _squared_errors(moment: Moment) -> Tensor:
    targets = cast("Tensor", moment.targets)
    return (moment.answer.reshape(targets.shape) - targets).square().flatten(1).mean(1)
