"""What a training consists of, beside its pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.train.measure import Measure
from edgesdk.train.moment import Hook, Loss, Term
from edgesdk.train.plan import Plan

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """The arguments of `fit`, checked.

    Attributes:
        identity: of the training, for its checkpoints.
        say: told a line after each epoch.
    """

    model: nn.Module
    loss: Loss
    plan: Plan
    measure: Measure | None
    terms: Mapping[str, Term]
    hooks: tuple[Hook, ...]
    folder: Path
    identity: dict[str, str]
    say: Callable[[str], None]
