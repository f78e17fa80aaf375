"""All figures of several models on the same pictures: which are known to differ, and how they vary over folds.

Joins the evaluation, which knows answers, with the contest, which knows entries; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgesdk.benchmark.contest import Entry, Figure
from edgesdk.benchmark.contest_page import FurtherTable
from edgesdk.cross_validation.folds import Spread, across_folds, fold_numbers
from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk.evaluate.significance import Difference, paired_differences
from edgesdk.figure_direction import counts_errors

# The figure by which a task's models are compared; for another task the first that is measured.
_MAIN_METRIC = {"classify": "top1", "detect": "ap50", "text": "word_accuracy", "regress": "relative_error"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of all models.

    Attributes:
        main: name of the figure by which they are compared.
        cards: by the model's name.
        differences: of each two of them.
        spreads: by the model's name and the figure's; empty without folds.
    """

    main: str
    cards: Mapping[str, Scorecard]
    differences: tuple[Difference, ...]
    spreads: Mapping[str, Mapping[str, Spread]]

    def of(self, entry: Entry) -> Entry:
        """Return the entry with its figures; one that was not measured as it is."""
        card = self.cards.get(entry.name)
        if card is None:
            return entry
        figures = {name: as_figure(name, metric) for name, metric in card.metrics.items()}
        return replace(entry, figure=figures.get(self.main), figures=figures)

    @property
    def warnings(self) -> list[str]:
        """What is worth knowing of the data, each once."""
        return list(dict.fromkeys(line for card in self.cards.values() for line in card.warnings))

    def tables(self) -> tuple[FurtherTable, ...]:
        """Return all that was measured, as tables for people."""
        names = list(dict.fromkeys(name for card in self.cards.values() for name in card.metrics))
        values = [
            (model, *(" ".join(card.metrics[n].in_words()) if n in card.metrics else "" for n in names))
            for model, card in self.cards.items()
        ]
        found = [FurtherTable("All figures", ("model", *names), values, "With 95 % intervals.")]
        if self.differences:
            pairs = [_row(one) for one in self.differences]
            columns = ("model", "against", "figure", "difference", "interval", "p", "p, of all pairs", "better")
            found.append(FurtherTable("Which differ by more than chance", columns, pairs, _PAIRS))
        if self.spreads:
            rows = [
                (model, *(spread[n].text() if n in spread else "" for n in names))
                for model, spread in self.spreads.items()
            ]
            found.append(FurtherTable("Over folds", ("model", *names), rows, _FOLDS))
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        """Return the keys that `compare` adds to its document."""
        spreads = {
            model: {name: spread.to_json() for name, spread in found.items()} for model, found in self.spreads.items()
        }
        return {
            "metric": self.main,
            "differences": [one.to_json() for one in self.differences],
            "folds": spreads,
            "warnings": self.warnings,
        }


_PAIRS = (
    "Both were asked about the same pictures. The last chance is corrected for the number of pairs (Holm); below 0.05 one of the "
    "two is known to be better."
)
_FOLDS = "Mean and standard deviation over the folds: how far another set of a fold's size may lie off."


def compared(
    dataset: Dataset, answers: Mapping[str, Answers], *, folds: int = 0, numbers: Sequence[int] = ()
) -> Figures:
    """Measure models by their answers to the same pictures.

    Args:
        answers: by the models' names, to all pictures of the dataset in its order; at least one.
        folds: how many; 0 for none.
        numbers: the fold of each picture, where they are divided already.

    Raises:
        InputError: the answers are no numbers or of another task, or the data cannot be divided so often.
    """
    cards = {name: scorecard(dataset, one) for name, one in answers.items()}
    first = next(iter(cards.values()))
    main = _MAIN_METRIC.get(dataset.task, "")
    main = main if main in first.metrics else next(iter(first.metrics))
    spreads: dict[str, dict[str, Spread]] = {}
    if folds and not numbers:
        numbers = fold_numbers(dataset, next(iter(answers.values())).thumbnails, folds)
    if numbers:
        spreads = {name: across_folds(dataset, one, numbers) for name, one in answers.items()}
    return Figures(main, cards, paired_differences(dataset, answers, main), spreads)


def as_figure(name: str, metric: Metric) -> Figure:
    """Return a metric as the contest takes it: with which direction is better."""
    return Figure(name, metric.value, metric.low, metric.high, metric.n, higher_is_better=not counts_errors(name))


def _row(one: Difference) -> Sequence[str]:
    return (
        one.first,
        one.second,
        one.figure,
        f"{one.value:+.4f}",
        f"{one.low:+.4f} … {one.high:+.4f}",
        f"{one.p:.3g}",
        f"{one.p_adjusted:.3g}",
        one.better or "not known",
    )
