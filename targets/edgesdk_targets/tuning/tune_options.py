"""How to tune, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_targets.tuning.grid import Given
from edgesdk_targets.tuning.tuned import BUDGET_S

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How to tune.

    Attributes:
        target, variant: only this target's variants, or this variant.
        given: what the user decided about threads and streams, and whether pinning may be tried.
        fps: of the live camera, for `Hint.AGE`; cameras: how many share the model.
        budget_s: for measuring; starting Python and the runtimes comes on top.
        patience_s: one step of one variant that takes longer is a hang.
        cache_dir: where answers are kept; None for the user's cache folder.
        again: measure although an answer is kept.
        prove: prove the chosen variant by the bundle's golden set.
    """

    target: str | None = None
    variant: str | None = None
    given: Given = field(default_factory=Given)
    fps: float = 30.0
    cameras: int = 1
    budget_s: float = BUDGET_S
    patience_s: float = PATIENCE_S
    cache_dir: Path | None = None
    again: bool = False
    prove: bool = True
