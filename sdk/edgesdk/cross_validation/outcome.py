"""What came of training on folds: which model is best, by how much, and the tables that say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesdk.benchmark.contest_page import FurtherTable
from edgesdk.comparison.figures import Figures
from edgesdk.cross_validation.folds import FoldDifference
from edgesdk.figure_direction import counts_errors

_ABOUT = (
    "Mean difference over the folds, by the corrected resampled t test, which allows for the folds' models having learnt from "
    "mostly the same pictures; the last chance is corrected for the number of pairs (Holm)."
)


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What came of training on folds.

    Attributes:
        figures: of each card, over all pictures and fold by fold.
        differences: of each two cards, over the folds.
        trainings: by the card's name, fold by fold: what each training came to.
    """

    folds: int
    figures: Figures
    differences: tuple[FoldDifference, ...]
    trainings: Mapping[str, tuple[Mapping[str, Any], ...]]

    @property
    def best(self) -> str | None:
        """The card whose mean is the best; None where the figure is defined on no fold."""
        name = self.figures.main
        means = {card: spread[name].mean for card, spread in self.figures.spreads.items() if spread[name].values}
        if not means:
            return None
        return (min if counts_errors(name) else max)(means, key=lambda card: means[card])

    @property
    def why(self) -> str:
        """What is known of the best one, in a sentence."""
        best, figure, spreads = self.best, self.figures.main, self.figures.spreads
        if best is None:
            return f"{figure} is not defined on any fold"
        mean = spreads[best][figure].text()
        if len(spreads) == 1:
            return f"{best} has a mean {figure} of {mean}"
        known = [one.second if one.first == best else one.first for one in self.differences if one.better == best]
        said = (
            f"better than {', '.join(known)} by more than chance"
            if known
            else "that it is better than another is not known"
        )
        return f"{best} has the best mean {figure}, {mean}; {said}"

    def tables(self) -> tuple[FurtherTable, ...]:
        """Return all that was measured, as tables for people."""
        columns = ("model", "against", "figure", "difference", "± over folds", "p", "p, of all pairs", "better")
        rows = [
            (
                one.first,
                one.second,
                one.figure,
                f"{one.value:+.4f}",
                f"{one.sd:.4f}",
                f"{one.p:.3g}",
                f"{one.p_adjusted:.3g}",
                one.better or "not known",
            )
            for one in self.differences
        ]
        further = (
            (FurtherTable("Which are trained better, by more than chance", columns, rows, _ABOUT),) if rows else ()
        )
        return (*self.figures.tables(), *further)

    def to_json(self) -> dict[str, object]:
        return {
            **self.figures.to_json(),
            "count": self.folds,
            "fold_differences": [one.to_json() for one in self.differences],
            "trainings": {name: list(folds) for name, folds in self.trainings.items()},
            "best": self.best,
            "why": self.why,
        }
