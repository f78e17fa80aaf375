"""Try everything once before a training begins: what does not fit is told in a second, and not after an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk.train.examples import Examples
from edgesdk.train.measure import Measure
from edgesdk.train.moment import Loss, Moment
from edgesdk_converters.framework_edge import reason
from edgesdk_converters.steps.live_module import in_eval_mode
from edgesdk_targets.errors import EdgeError, InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

_PICTURES = 8


def rehearse(model: nn.Module, loss: Loss, measure: Measure | None, examples: Examples, batch: int) -> None:
    """Ask model, loss and measure about a few pictures of both sets, and leave the model as it was.

    Raises:
        InputError: there are too few pictures, or one of the three does not fit the others.
    """
    import torch

    for what, part, least in (("learn from", examples.train, 2), ("judge by", examples.validation, 1)):
        if len(part) < least:
            said = "There is 1 picture only to" if len(part) == 1 else "There is no picture to"
            raise InputError(f"{said} {what}.", hint="Give more pictures.")
    with in_eval_mode(model) as module, torch.no_grad():
        for part in (examples.train, examples.validation):
            count = min(len(part), batch, _PICTURES)
            for shown in part.batches([range(count)]):
                moment = Moment(module, shown, 0, 0)
                _one_number(_tried("The loss", loss, moment))
                if measure is not None:
                    _tried(f"The measure {measure.name}", measure.each, moment)


def _tried(what: str, asked: Loss, moment: Moment) -> Tensor:
    try:
        return asked(moment)
    except EdgeError:
        raise
    except Exception as error:  # the user's model and loss run here, and may raise anything
        shape = list(moment.images.shape)
        raise InputError(
            f"{what} fails on pictures of shape {shape}: {reason(error)}",
            hint="Correct the model, its card's input (it must take several pictures at once), or the loss.",
        ) from error


def _one_number(value: object) -> None:
    import torch

    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        got = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(f"The loss returns {got}, and not one number.", hint="Return the mean over the batch.")
