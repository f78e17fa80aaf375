"""Where a loss that is no number comes from: the pictures, the weights, or the first layer whose answer is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesdk.train.batch import Batch
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.hooks import RemovableHandle

_SLOWER = "Lower the learning rate (a tenth), or raise the warm-up."


class LossNotFinite(InputError):
    """A training came to a loss that is NaN or infinite, and stopped; what was reached before is kept.

    Attributes:
        step: of the optimiser, from 0.
        cause: where it comes from, as far as it can be told.
    """

    code = "loss_not_finite"

    def __init__(self, what: str, *, epoch: int, step: int, cause: str, hint: str) -> None:
        super().__init__(f"{what} at step {step} (epoch {epoch + 1}): {cause}.", hint=hint)
        self.step = step
        self.cause = cause


def loss_not_finite(model: nn.Module, batch: Batch, value: float, epoch: int, step: int) -> LossNotFinite:
    """Return the error for a loss that is no finite number, after looking for its cause."""
    cause, hint = _cause(model, batch)
    return LossNotFinite(f"The loss is {value}", epoch=epoch, step=step, cause=cause, hint=hint)


def gradient_not_finite(model: nn.Module, epoch: int, step: int) -> LossNotFinite | None:
    """Return the error for the first weights whose gradient is not finite; None where all are."""
    from torch.nn.utils import get_total_norm

    # One number for all: a look at each of them, step by step, would cost as much as a small model's step.
    if bool(get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).isfinite()):
        return None
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            cause = f"that of {name!r} is the first; the loss itself is finite"
            return LossNotFinite("A gradient is not finite", epoch=epoch, step=step, cause=cause, hint=_SLOWER)
    return None


def _cause(model: nn.Module, batch: Batch) -> tuple[str, str]:
    if batch.images.is_floating_point() and not bool(batch.images.isfinite().all()):
        wrong = (~batch.images.isfinite()).flatten(1).any(1).nonzero()[0].item()
        return f"picture {wrong} of the batch holds values that are not finite", "Check `mean` and `std` in the card."
    for name, value in model.state_dict().items():
        if hasattr(value, "isfinite") and value.is_floating_point() and not bool(value.isfinite().all()):
            return f"the weights of {name!r} are not finite", _SLOWER
    layer = _first_layer(model, batch)
    if layer is not None:
        return f"the layer {layer} is the first whose answer is not finite", _SLOWER
    return (
        "every layer's answer is finite, so it arises in the loss itself",
        "Check the loss, and labels that it cannot express.",
    )


def _first_layer(model: nn.Module, batch: Batch) -> str | None:
    """Ask the model once more, and return the first layer that makes of finite inputs what is not finite."""
    import torch

    found: list[str] = []

    def watch(name: str) -> Any:
        def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not found and _finite(inputs) and not _finite(output):
                found.append(f"{name!r} ({type(module).__name__})")

        return look

    handles: list[RemovableHandle] = [
        module.register_forward_hook(watch(name))
        for name, module in model.named_modules()
        if name and not any(module.children())
    ]
    try:
        with torch.no_grad():
            model(batch.images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _finite(values: Any) -> bool:
    import torch

    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(values.isfinite().all())
    if isinstance(values, dict):
        return all(_finite(value) for value in values.values())
    return all(_finite(value) for value in values) if isinstance(values, (tuple, list)) else True
