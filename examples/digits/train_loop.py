"""The loop that all sample models are trained in: one cycle of the learning rate, progress to the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

_REPORTS = 10


def fit(model: nn.Module, step: Callable[[int], Tensor], *, steps: int, peak_rate: float, name: str) -> None:
    """Train `model` in place and leave it in evaluation mode.

    Args:
        step: takes the number of the step and returns the loss of a fresh batch.
        steps: how many.
        peak_rate: highest learning rate.
        name: for the progress lines.
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=steps, pct_start=0.15)
    start, shown = time.monotonic(), 0.0
    for number in range(steps):
        loss = step(number)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        shown += float(loss.detach())
        if (number + 1) % (steps // _REPORTS) == 0:
            mean, shown = shown / (steps // _REPORTS), 0.0
            print(f"{name}: step {number + 1}/{steps}, loss {mean:.4f}, {time.monotonic() - start:.0f} s", flush=True)
    model.eval()
