"""What training has to keep of a compressed model: zeros that are meant, and numbers that move together.

Kept by putting it right after every step of the optimiser (projected gradient descent): zeros become 0 again, and the numbers of
a cluster their mean, which is the step of a codebook's entry by the mean of its gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgesdk.compression.changes import Clustered
from edgesdk.compression.layers import weights_of
from edgesdk.compression.subject import Subject
from edgesdk.train.moment import Hook

Restore = Callable[[Tensor], Tensor]


class Holding(Hook):
    """Puts right what a step of training may not change.

    Args:
        subject: whose zeros and clusters are kept, as they are now.
        module: that is trained; of the same structure.
    """

    def __init__(self, subject: Subject, module: nn.Module) -> None:
        self._kept: list[tuple[Tensor, Restore]] = []
        for change in subject.held:
            make = _clusters if isinstance(change, Clustered) else _zeros
            before, after = (weights_of(part.get_submodule(change.layer)) for part in (subject.module, module))
            self._kept += [(new, make(old.detach())) for old, new in zip(before, after, strict=True)]

    @torch.no_grad()
    def after_step(self, model: nn.Module, step: int) -> None:  # noqa: ARG002  (the hook's face)
        for tensor, restore in self._kept:
            tensor.copy_(restore(tensor))


def _zeros(tensor: Tensor) -> Restore:
    mask = tensor != 0
    return lambda moved: moved * mask.to(moved.device)


def _clusters(tensor: Tensor) -> Restore:
    values, places = torch.unique(tensor, return_inverse=True)
    flat = places.flatten()
    sizes = torch.bincount(flat, minlength=len(values)).to(tensor.dtype)
    # A cluster of exact zeros is that of a pruned weight.
    zero = values == 0

    def restore(moved: Tensor) -> Tensor:
        own = moved.detach().cpu()
        sums = torch.zeros(len(values), dtype=own.dtype).scatter_add_(0, flat, own.flatten())
        means = torch.where(zero, torch.zeros_like(sums), sums / sizes)
        return means[flat].reshape(own.shape).to(moved.device)

    return restore


def holding_hooks(subject: Subject, module: nn.Module) -> tuple[Hook, ...]:
    """Return what keeps a training of `module` from undoing what was done to `subject`."""
    return (Holding(subject, module),) if subject.held else ()
