"""The optimiser that a plan asks for, and its learning rate over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk.train.plan import Plan
from edgesdk.train.schedule import rate_at
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


def optimiser_of(model: nn.Module, plan: Plan) -> Optimizer:
    """Return an optimiser of all weights that are to be trained; matrices and kernels decay, biases and norms do not.

    Raises:
        InputError: no weight is to be trained.
    """
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise InputError("No weight of the model is to be trained.", hint="Set requires_grad on those that are.")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=plan.momentum, nesterov=plan.momentum > 0)
    return torch.optim.AdamW(groups, lr=plan.learning_rate)


def rates_of(optimiser: Optimizer, plan: Plan, steps: int) -> LambdaLR:
    """Return the schedule over so many steps."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimiser, lambda step: rate_at(plan, step, steps))
