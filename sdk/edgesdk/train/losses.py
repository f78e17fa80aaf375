"""What training makes small, for each task; or a loss that the model's author brings.

A loss takes a `Moment` (model, pictures, targets, and the model's outputs, asked once) and returns a scalar: the mean over the
batch. One of your own is named `package.module:function`; its module lies beside the model card, or is installed:

    def loss(moment):
        scores, boxes = moment.model.raw(moment.images)   # or `moment.outputs`: what `model(images)` answers
        truth = moment.targets                            # of detection: `BoxTargets`, see edgesdk.train.batch
        return ...                                        # scalar tensor
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from edgesdk.train.batch import Targets, TextTargets
from edgesdk.train.moment import Loss, Moment
from edgesdk_targets.card import CardFile
from edgesdk_targets.decode.activation import activation_of
from edgesdk_targets.decode.ctc import symbols_of
from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

# Under this a probability says no more; its logarithm must stay finite.
_LEAST = 1e-12


def loss_for(card: CardFile, name: str | None = None, *, label_smoothing: float = 0.0) -> Loss:
    """Return the loss of a model.

    Args:
        name: `package.module:function` of one that the author brings; None for the usual one of the card's task: cross entropy
            (classify), CTC (text), mean squared error (regress).
        label_smoothing: of the usual cross entropy, 0..1.

    Raises:
        InputError: the task has no usual loss, or the one named cannot be imported.
    """
    if name is not None:
        from edgesdk_converters.author_code import named_function

        return cast("Loss", named_function(name, card.code))
    task, outputs = card.card.task, card.card.outputs
    activation = activation_of(outputs[0] if outputs else "logits", card.card.postprocess.activation)
    if task == "classify":
        return ClassLoss(card.labels, activation, label_smoothing)
    if task == "text":
        return CtcLoss(card.labels, card.card.postprocess.blank, activation)
    if task == "regress":
        return squared_error
    raise InputError(
        f"There is no usual loss for the task {task!r}: it depends on how the model answers.",
        hint="Write one and name it: --loss package.module:function (`loss:` in a recipe). edgesdk.train.losses says what it gets.",
    )


@runtime_checkable
class ChecksTargets(Protocol):
    """A loss that can tell before a training whether a model can answer what is true at all."""

    def check_targets(self, answer: Tensor, pictures: int, targets: Targets | None) -> None:
        """Check targets, of all pictures of a set.

        Args:
            answer: of the model to so many pictures.

        Raises:
            InputError: it cannot.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """Cross entropy, of one class or of several that share a picture evenly.

    Args:
        labels: the card's; as many as the model has classes, or none.
        activation: what makes probabilities of the model's output; `none` where it gives them itself.
        smoothing: so much of the truth is spread over all classes.
    """

    labels: tuple[str, ...]
    activation: Activation = "softmax"
    smoothing: float = 0.0

    def __call__(self, moment: Moment) -> Tensor:
        """Return the mean cross entropy.

        Raises:
            InputError: the model answers another number of classes than the card has labels, or a class is not among them.
        """
        from torch.nn import functional

        scores = moment.answer
        if scores.ndim != 2 or (self.labels and scores.shape[1] != len(self.labels)):
            raise InputError(
                f"The model answers {list(scores.shape)} to {len(moment.images)} pictures, but the card has "
                f"{len(self.labels)} labels: (pictures, classes) is needed.",
                hint="Correct the card's labels, or the factory's number of classes.",
            )
        targets = class_targets(cast("Tensor", moment.targets), scores.shape[1])
        if self.activation == "sigmoid":
            wanted = targets if targets.ndim == 2 else functional.one_hot(targets, scores.shape[1]).float()
            return functional.binary_cross_entropy_with_logits(scores, (wanted > 0).float())
        return functional.cross_entropy(as_logits(scores, self.activation), targets, label_smoothing=self.smoothing)

    def check_targets(self, answer: Tensor, pictures: int, targets: Targets | None) -> None:  # noqa: ARG002  (its protocol's)
        """Check that each class is one of the model's.

        Raises:
            InputError: one is not.
        """
        class_targets(cast("Tensor", targets), answer.shape[1])


@dataclass(frozen=True, slots=True)
class CtcLoss:
    """Connectionist temporal classification (A. Graves et al., 2006), the mean over texts, each by its own length.

    Args:
        labels, blank: the card's.
        activation: what makes probabilities of the model's output; `none` where it gives them itself.
    """

    labels: tuple[str, ...]
    blank: int = 0
    activation: Activation = "softmax"

    def __call__(self, moment: Moment) -> Tensor:
        """Return the mean loss.

        Raises:
            InputError: the labels do not fit the model's classes, or a text is too long for its steps.
        """
        import torch
        from torch.nn import functional

        scores, targets = steps_of(moment.answer, len(moment.images)), cast("TextTargets", moment.targets)
        symbols = targets.symbols + (targets.symbols >= first_after(self.blank, self.labels, scores.shape[2]))
        self._check_length(targets, scores.shape[1])
        logs = as_logits(scores, self.activation).log_softmax(2)
        steps = torch.full((len(scores),), scores.shape[1], dtype=torch.int64)
        return functional.ctc_loss(logs.transpose(0, 1), symbols, steps, targets.lengths, blank=self.blank)

    def check_targets(self, answer: Tensor, pictures: int, targets: Targets | None) -> None:
        """Check that the model's steps are enough for each text.

        Raises:
            InputError: they are not.
        """
        self._check_length(cast("TextTargets", targets), steps_of(answer, pictures).shape[1])

    def _check_length(self, targets: TextTargets, steps: int) -> None:
        """Refuse what cannot be written in so many steps: each symbol takes one, and a blank parts two that are equal."""
        import torch

        symbols, lengths = targets.symbols, targets.lengths
        of_text = torch.repeat_interleave(lengths)
        twice = (symbols[1:] == symbols[:-1]) & (of_text[1:] == of_text[:-1])
        needed = lengths + torch.bincount(of_text[1:][twice], minlength=len(lengths))
        if bool((needed > steps).any()):
            longest = int(needed.argmax())
            text = "".join(self.labels[number] for number in symbols[of_text == longest].tolist())
            raise InputError(
                f"The text {text!r} of {len(text)} characters needs {int(needed[longest])} steps, and the model answers {steps}.",
                hint="Take a wider input, or leave pictures with so long texts out.",
            )


def as_logits(answer: Tensor, activation: Activation | None) -> Tensor:
    """Return scores of which a softmax makes the probabilities: those of probabilities are their logarithms.

    Args:
        activation: what makes probabilities of the answer; `none` where it is some.
    """
    return answer.clamp(min=_LEAST).log() if activation == "none" else answer


def squared_error(moment: Moment) -> Tensor:
    """Return the mean squared error of a regression's numbers.

    Raises:
        InputError: the model answers another number of values than the data has.
    """
    from torch.nn import functional

    values, targets = moment.answer, cast("Tensor", moment.targets)
    if values.numel() != targets.numel():
        raise InputError(
            f"The model answers {list(values.shape)}, but the data has {list(targets.shape)}: (pictures, values).",
            hint="Correct the columns of labels.csv, or the card's labels.",
        )
    return functional.mse_loss(values.reshape(targets.shape), targets)


def steps_of(scores: Tensor, pictures: int) -> Tensor:
    """Return a reader's scores as (B, T, C), which some models answer as (T, B, C).

    Raises:
        InputError: they are neither.
    """
    if scores.ndim == 3 and scores.shape[0] == pictures:
        return scores
    if scores.ndim == 3 and scores.shape[1] == pictures:
        return scores.transpose(0, 1)
    raise InputError(
        f"The model answers {list(scores.shape)} to {pictures} pictures: (pictures, steps, classes) is needed.",
        hint="Let its forward keep the first axis for the pictures.",
    )


def first_after(blank: int, labels: tuple[str, ...], classes: int) -> int:
    """Return the first label whose class is one higher than its number, because the blank stands before it.

    Raises:
        InputError: the labels fit the model's classes neither with the blank nor without.
    """
    if symbols_of(labels, classes, blank) is None:
        raise InputError(
            f"The model has {classes} CTC classes and the blank is number {blank}, but there are {len(labels)} labels.",
            hint=f"Give {classes - 1} labels (one a character, without the blank) or {classes}.",
        )
    return blank if len(labels) == classes - 1 else classes


def class_targets(targets: Tensor, classes: int) -> Tensor:
    """Return the classes of a batch, where several are right for a picture one column for each of the model's.

    Args:
        targets: (B,) int64 or (B, K) float32, K at most `classes`.

    Raises:
        InputError: a class is not among the model's.
    """
    from torch.nn import functional

    highest = targets.shape[1] - 1 if targets.ndim == 2 else int(targets.max())
    if highest >= classes:
        raise InputError(
            f"The data has a class number {highest}, and the model answers {classes} classes, from 0.",
            hint="Correct the factory's number of classes, or name the classes as the card's labels.",
        )
    return functional.pad(targets, (0, classes - targets.shape[1])) if targets.ndim == 2 else targets
