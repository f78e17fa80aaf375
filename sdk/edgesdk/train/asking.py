"""Ask what others bring to a training (a model, a loss, a term, a measure), and tell its failure as its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from edgesdk.train.moment import Loss, Moment, Term
from edgesdk_converters.framework_edge import reason
from edgesdk_targets.errors import EdgeError, InputError

if TYPE_CHECKING:
    from torch import Tensor

Answer = TypeVar("Answer")

# How PyTorch begins to say that a norm has one value alone to take a mean of.
_ALONE = "more than 1 value per channel"


def ask(what: str, asked: Callable[[Moment], Answer], moment: Moment) -> Answer:
    """Return the answer.

    Args:
        what: how it is called in a message, such as "The loss".

    Raises:
        InputError: it fails, whatever it raises.
    """
    try:
        return asked(moment)
    except EdgeError:
        raise
    except Exception as error:  # the user's model and loss run here, and may raise anything
        hint = "Correct the model, its card's input (it must take several pictures at once), or the loss."
        if _ALONE in str(error):
            hint = "A batch norm needs two pictures or more at once: give the plan a `batch` of at least 2."
        shape = list(moment.images.shape)
        raise InputError(f"{what} fails on pictures of shape {shape}: {reason(error)}", hint=hint) from error


def ask_all(loss: Loss, terms: Mapping[str, Term], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
    """Return what is made small, and each further term of it.

    Raises:
        InputError: one of them fails.
    """
    found = {name: ask(f"The term {name}", term, moment) for name, term in terms.items()}
    return sum(found.values(), ask("The loss", loss, moment)), found
