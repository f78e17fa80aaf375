"""Cross-validation by training: each card's model is trained anew for each fold, and asked about the pictures that it never saw.

For each fold the model begins as its factory makes it, learns from the pictures of all other folds (of which a share is kept to
choose the best epoch by) and answers for those of its own. So every picture is answered once by each card, and what is measured
is the way to train, and not one set of weights. Training and comparison do not know each other; this joins them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.comparison.figures import compared
from edgesdk.cross_validation.folds import fold_differences, fold_numbers
from edgesdk.cross_validation.outcome import CrossValidation
from edgesdk.evaluate.answers import Answers, collect, paths_of
from edgesdk.evaluate.apart import found_again
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.groups import thumbnail
from edgesdk.train.examples import DEFAULT_SHARE, examples_of
from edgesdk.train.fit import fit
from edgesdk.train.loading import Loading
from edgesdk.train.losses import loss_for
from edgesdk.train.measure import measure_for
from edgesdk.train.model import open_model
from edgesdk.train.parting import divide
from edgesdk.train.plan import Plan
from edgesdk_converters.proving.predictor import source_predictor
from edgesdk_converters.sniff import Kind
from edgesdk_converters.source import Source
from edgesdk_targets.card import CardFile, read_card
from edgesdk_targets.decode.postprocess import measured_with
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.tensor import Array

Say = Callable[[str], None]


def cross_validate(
    cards: Mapping[str, Path],
    data: str | Path,
    folds: int,
    plan: Plan,
    *,
    folder: str | Path,
    loss: str | None = None,
    say: Say = lambda _line: None,
) -> CrossValidation:
    """Train each card's model once per fold and compare what they answer to pictures that they never saw.

    What is trained is kept: the same call goes on after the last epoch that was done.

    Args:
        cards: of models with a factory, of one task and with the same labels, by the names they get.
        data: labelled pictures, as `edgesdk evaluate` reads them.
        folder: for the trainings; another plan, loss or data want another.
        loss: `package.module:function` beside the cards, for a task without a usual loss.

    Raises:
        InputError: a card has no factory, the cards differ in task or labels, the data cannot be divided so often, or a fold lacks
            something to learn from or to judge by; it names card and fold.
        LossNotFinite: a training came to no numbers.
        KeyboardInterrupt: it was stopped; the same call goes on.
    """
    read = {name: read_card(path) for name, path in cards.items()}
    _check_alike(read)
    for card in read.values():
        loss_for(card, loss)
    first = next(iter(read.values()))
    dataset = open_dataset(data, task=first.card.task, labels=first.labels)
    numbers = fold_numbers(dataset, _thumbnails(dataset, say), folds)
    _check_apart(dataset, numbers)
    answers, trainings = {}, {}
    for name, card in read.items():
        place = (
            Path(folder) / f"{cards[name].stem}-{hashlib.sha256(str(cards[name].resolve()).encode()).hexdigest()[:8]}"
        )
        answers[name], trainings[name] = _by_folds(_Learner(name, card, plan, loss, place, say), dataset, numbers)
    figures = compared(dataset, answers, numbers=numbers)
    return CrossValidation(folds, figures, fold_differences(figures.spreads, figures.main, folds), trainings)


@dataclass(frozen=True, slots=True)
class _Learner:
    """What is trained on each fold."""

    name: str
    card: CardFile
    plan: Plan
    loss: str | None
    folder: Path
    say: Say

    def answers(self, fold: int, learnt: Dataset, asked: Dataset) -> tuple[Answers, dict[str, Any]]:
        """Train on some pictures, or go on with that, and answer for others."""
        parts = divide(learnt, DEFAULT_SHARE, self.plan.seed)
        place = self.folder / f"fold-{fold + 1}"
        examples = examples_of(self.card, parts, loading=Loading.for_plans(self.plan, folder=place))
        model = open_model(self.card, untrained=True, seed=self.plan.seed)
        fitted = fit(
            model,
            loss_for(self.card, self.loss),
            examples,
            self.plan,
            folder=place,
            measure=measure_for(self.card),
            progress=lambda line: self.say(f"{self.name}, fold {fold + 1}: {line}"),
        )
        source = Source(Kind.MODULE, self.card, None, module=model)
        found = collect(source_predictor(source, measured_with(self.card.card.task)), paths_of(asked))
        return found, {"learnt_from": len(learnt), "asked_about": len(asked), **fitted.to_json()}


def _by_folds(
    learner: _Learner, dataset: Dataset, numbers: Sequence[int]
) -> tuple[Answers, tuple[dict[str, Any], ...]]:
    """Return the answers to all pictures, in their order, each of the training that did not see it."""
    places: list[int] = []
    parts, trainings = [], []
    for fold in range(max(numbers) + 1):
        mine = [place for place, number in enumerate(numbers) if number == fold]
        rest = [place for place, number in enumerate(numbers) if number != fold]
        try:
            found, training = learner.answers(fold, _only(dataset, rest), _only(dataset, mine))
        except InputError as error:
            where = f"{learner.name}, fold {fold + 1} of {max(numbers) + 1}"
            raise InputError(f"{where}: {error.message}", hint=error.hint) from error
        places += mine
        parts.append(found)
        trainings.append(training)
    order = [int(place) for place in np.argsort(places)]
    whole = Answers(
        tuple(result for part in parts for result in part.results),
        tuple(size for part in parts for size in part.sizes),
        np.concatenate([part.thumbnails for part in parts]),
        tuple(path for part in parts for path in part.paths),
    )
    return whole.only(order), tuple(trainings)


def _only(dataset: Dataset, places: Sequence[int]) -> Dataset:
    return replace(dataset, samples=tuple(dataset.samples[place] for place in places))


def _thumbnails(dataset: Dataset, say: Say) -> Array:
    """Look at every picture once: those that are alike stay together."""
    say(f"dividing {len(dataset)} pictures")
    return np.stack([thumbnail(read_image(sample.path)) for sample in dataset.samples])


def _check_alike(cards: Mapping[str, CardFile]) -> None:
    for name, card in cards.items():
        if card.card.factory is None:
            raise InputError(
                f"{name} cannot be trained: its card names no factory that builds it.",
                hint="Name `factory: package.module:function` in the card.",
            )
    if len({(card.card.task, card.labels) for card in cards.values()}) > 1:
        raise InputError("The models have different tasks or labels.", hint="Compare models of one task.")


def _check_apart(dataset: Dataset, numbers: Sequence[int]) -> None:
    """Refuse copies, byte for byte, that the thumbnails did not bring together."""
    for fold in range(max(numbers) + 1):
        one, other = (
            [s.path for s, number in zip(dataset.samples, numbers, strict=True) if (number == fold) is mine]
            for mine in (True, False)
        )
        if both := found_again(one, other):
            copied, first = min(both.items())
            raise InputError(
                f"{copied} is a copy of {first}, and they would be in two folds.",
                hint="Find copies by `edgesdk data dedup`.",
            )
