"""Try everything once before a training begins: what does not fit is told in a second, and not after an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgesdk.train.asking import ask, ask_all
from edgesdk.train.batch import Batch, ExampleSet, ListedExamples
from edgesdk.train.examples import Examples
from edgesdk.train.losses import ChecksTargets
from edgesdk.train.measure import Measure
from edgesdk.train.moment import Loss, Moment, Term
from edgesdk_converters.framework_edge import reason
from edgesdk_converters.steps.live_module import in_eval_mode
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

_PICTURES = 8


def rehearse(
    model: nn.Module,
    loss: Loss,
    measure: Measure | None,
    terms: Mapping[str, Term],
    examples: Examples,
    batch: int,
) -> None:
    """Ask model, loss, terms and measure about a few pictures, as a validation and as a step do; the model is left as it was.

    Raises:
        InputError: there are too few pictures, one of the four does not fit the others, or a target is beyond the model.
    """
    import torch

    for what, part, least in (("learn from", examples.train, 2), ("judge by", examples.validation, 1)):
        if len(part) < least:
            said = "There is 1 picture only to" if len(part) == 1 else "There is no picture to"
            raise InputError(f"{said} {what}.", hint="Give more pictures.")
    checking: object = loss  # for mypy, to which no function can have another method
    with in_eval_mode(model) as module, torch.no_grad():
        for part in (examples.train, examples.validation):
            moment = Moment(module, _few(part, batch), 0, 0)
            _one_number("The loss", ask("The loss", loss, moment))
            if measure is not None:
                ask(f"The measure {measure.name}", measure.each, moment)
            if isinstance(checking, ChecksTargets) and isinstance(part, ListedExamples):
                checking.check_targets(moment.answer, len(moment.images), part.targets())
    with _left_as_it_was(model), torch.enable_grad():
        model.train()
        _step(model, loss, terms, _few(examples.train, batch))


def _few(part: ExampleSet, batch: int) -> Batch:
    (shown,) = part.batches([range(min(len(part), batch, _PICTURES))])
    return shown


def _step(model: nn.Module, loss: Loss, terms: Mapping[str, Term], batch: Batch) -> None:
    """Take the gradients of a step, and do nothing with them."""
    import torch

    total, found = ask_all(loss, terms, Moment(model, batch, 0, 0))
    for name, value in found.items():
        _one_number(f"The term {name}", value)
    _one_number("The loss", total)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        return  # the optimiser says so
    if not total.requires_grad:
        raise InputError(
            "The loss does not depend on any weight that is to be trained.",
            hint="Make it of the model's outputs as they are: without detach, item, numpy or no_grad.",
        )
    try:
        torch.autograd.grad(total, trained, allow_unused=True)
    except RuntimeError as error:
        raise InputError(
            f"The loss has no gradients: {reason(error)}", hint="Make the model and the loss of differentiable parts."
        ) from error


def _one_number(what: str, value: Tensor) -> None:
    import torch

    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        got = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(f"{what} returns {got}, and not one number.", hint="Return the mean over the batch.")


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Put back what a step in training mode changes beside the weights: modes, and buffers such as a norm's statistics."""
    import torch

    modes = [(part, part.training) for part in model.modules()]
    buffers = [
        (part, name, buffer, buffer.detach().clone())
        for part in model.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
        with torch.no_grad():
            for part, name, buffer, before in buffers:
                setattr(part, name, buffer.copy_(before) if buffer.shape == before.shape else before)
