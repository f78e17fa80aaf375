"""How the passes of a recipe train: on its data, with the loss of the card's task or the author's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgesdk.compression.recipe import Recipe
from edgesdk.compression_run.pictures import Pictures
from edgesdk.train.examples import Examples
from edgesdk.train.fit import fit
from edgesdk.train.losses import loss_for
from edgesdk.train.measure import measure_for
from edgesdk.train.moment import Hook, Loss, Term
from edgesdk.train.plan import Plan
from edgesdk_targets.card import CardFile


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains modules on a recipe's data."""

    card: CardFile
    examples: Examples
    loss: Loss
    say: Callable[[str], None]

    def __call__(
        self,
        module: nn.Module,
        plan: Plan,
        folder: Path,
        *,
        terms: Mapping[str, Term] | None = None,
        hooks: Sequence[Hook] = (),
    ) -> dict[str, Any]:
        fitted = fit(
            module,
            self.loss,
            self.examples,
            plan,
            folder=folder,
            measure=measure_for(self.card),
            terms=terms,
            hooks=hooks,
            progress=self.say,
        )
        return {**fitted.to_json(), "weights": fitted.weights.name}


def trainer_for(recipe: Recipe, card: CardFile, pictures: Pictures, say: Callable[[str], None]) -> Trainer | None:
    """Return what trains; None for a recipe in which nothing is trained.

    Raises:
        InputError: the task has no usual loss and none is named, or the data does not fit the card.
    """
    plans = [step.plan for step in recipe.steps() if step.plan is not None]
    if not plans or recipe.data.train is None:
        return None
    found = loss_for(card, recipe.loss)
    return Trainer(card, pictures.to_learn_from(card, recipe.data.train, recipe.seed, plans, say), found, say)
