"""The learning rate over a training (pure).

`one_cycle` is the rule of L. N. Smith and N. Topin, "Super-Convergence" (2019), with cosines for both halves and the same
ends as `torch.optim.lr_scheduler.OneCycleLR` has; `cosine` that of I. Loshchilov and F. Hutter, "SGDR" (2017), without restarts.
"""

from __future__ import annotations

import math

from edgesdk.train.plan import Plan

_CYCLE_START, _CYCLE_END = 1 / 25, 1 / 250_000


def rate_at(plan: Plan, step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of the highest.

    Args:
        step: from 0; after the last one the rate stays.
        steps: of the whole training.
    """
    rising = max(1, round(plan.warmup * steps)) if plan.warmup else 0
    start = _CYCLE_START if plan.schedule == "one_cycle" else 0.0
    if step < rising:
        if plan.schedule == "one_cycle":
            return _between(start, 1.0, step / rising)
        # The first step moves, too.
        return (step + 1) / (rising + 1)
    if plan.schedule == "constant":
        return 1.0
    done = min(1.0, (step - rising) / max(1, steps - rising))
    return _between(1.0, _CYCLE_END if plan.schedule == "one_cycle" else 0.0, done)


def _between(start: float, end: float, done: float) -> float:
    """Go from one value to another along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
