"""One step as a loss sees it, and the two places where others take part in a training: terms and hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgesdk.train.batch import Batch, Targets

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Moment:
    """A model and a batch.

    Attributes:
        model: in training mode while it is trained, else in evaluation mode.
        epoch: from 0.
        step: of the optimiser, over all epochs, from 0.
    """

    model: nn.Module
    batch: Batch
    epoch: int
    step: int

    @property
    def images(self) -> Tensor:
        """The pictures, (B, C, H, W)."""
        return self.batch.images

    @property
    def targets(self) -> Targets:
        """What is true of them."""
        return self.batch.targets

    @cached_property
    def outputs(self) -> Any:
        """What the model answers to the pictures; asked once, however many losses and terms look at it."""
        return self.model(self.images)

    @property
    def answer(self) -> Tensor:
        """The first output: the logits of a classifier or reader, the numbers of a regression."""
        return first_output(self.outputs)


# Returns a scalar, the mean over the batch. A loss that asks the model otherwise than `model(images)` does so by itself.
Loss = Callable[[Moment], "Tensor"]
# A further loss that is added to the main one while the model is trained, and not where it is validated. A distillation's teacher
# belongs here: the term asks it with `moment.images`, in evaluation mode and without gradients, and moves it to their device.
Term = Loss


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What an epoch came to.

    Attributes:
        epoch: from 0.
        loss: mean of what was made small over the epoch's pictures, terms counted in.
        terms: the mean of each further term.
        validation_loss: mean of the main loss over the validation pictures.
        figure: what the best epoch is chosen by, see `Fitted.metric`.
        learning_rate: at the epoch's end.
        seconds: that it took.
    """

    epoch: int
    loss: float
    terms: Mapping[str, float]
    validation_loss: float
    figure: float
    learning_rate: float
    seconds: float


class Hook:
    """Takes part in a training; each method does nothing unless it is overridden.

    What a hook does may depend on the model and on the given numbers only: a training that goes on after a kill calls it with the
    next ones, and is to come to the same weights. Whatever a hook raises ends the training; what was reached is kept.
    """

    def before_epoch(self, model: nn.Module, epoch: int) -> None:
        """Do something before an epoch's first step, such as freezing observers."""

    def after_step(self, model: nn.Module, step: int) -> None:
        """Do something after the optimiser's step, such as putting a mask on the weights again."""

    def after_epoch(self, model: nn.Module, record: EpochRecord) -> None:
        """Look at an epoch that is validated and kept; weights are not to be changed here."""


def first_output(outputs: Any) -> Tensor:
    """Return the first of what a model answers: a tensor, a tuple or list, or a mapping of tensors."""
    if isinstance(outputs, Mapping):
        outputs = tuple(outputs.values())
    found: Tensor = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
    return found
