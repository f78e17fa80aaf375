"""Which epoch is the best, when a training ends, and how it is told (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk.train.measure import Measure
from edgesdk.train.moment import EpochRecord
from edgesdk.train.plan import Plan


class TrainingStopped(KeyboardInterrupt):
    """Ctrl-C while a model was trained.

    Attributes:
        epochs: that this training has done, and that are kept.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs


@dataclass(frozen=True, slots=True)
class Ranking:
    """Compare epochs: by the figure, and of equal ones by the validation loss, for few pictures give few different figures."""

    higher_is_better: bool

    def better(self, one: EpochRecord, other: EpochRecord) -> bool:
        """Tell whether an epoch is better than another."""
        if one.figure != other.figure:
            return (one.figure > other.figure) is self.higher_is_better
        return one.validation_loss < other.validation_loss


def end_of(plan: Plan, history: Sequence[EpochRecord], best: int, seconds: float) -> str:
    """Return why a training ends after its last epoch so far; "" where it goes on.

    Args:
        best: the epoch that is the best.
        seconds: spent, over all runs.
    """
    if len(history) >= plan.epochs:
        return f"all {plan.epochs} epochs are done"
    if plan.patience is not None and len(history) - 1 - best >= plan.patience:
        return f"no better for {plan.patience} epochs"
    if plan.minutes is not None and seconds >= plan.minutes * 60:
        return f"the {plan.minutes:g} minutes are over"
    return ""


def line_of(history: Sequence[EpochRecord], best: int, epochs: int, measure: Measure | None) -> str:
    """Return what is said of the last epoch."""
    record = history[-1]
    terms = "".join(f", {name} {value:.4g}" for name, value in record.terms.items())
    name = measure.name if measure is not None else "validation loss"
    return (
        f"epoch {record.epoch + 1}/{epochs}: loss {record.loss:.4g}{terms}; {name} {record.figure:.4g} "
        f"(best {history[best].figure:.4g} in epoch {best + 1}); {record.seconds:.1f} s"
    )
