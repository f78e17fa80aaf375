"""Train a trial's model, telling the search how each epoch does, so that what falls behind is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.search.space import Space, area_of
from edgesdk.search.study import Asked
from edgesdk.train.examples import open_examples
from edgesdk.train.fit import fit
from edgesdk.train.losses import loss_for
from edgesdk.train.measure import measure_for
from edgesdk.train.model import open_model
from edgesdk.train.moment import EpochRecord, Hook
from edgesdk.train.plan import plan_of
from edgesdk_targets.card import read_card

if TYPE_CHECKING:
    from torch import nn


class TrialTraining:
    """Trains a trial's model by its plan.

    Args:
        overrides: what the trial changes of the card. Where the factory's arguments are searched, weights of another network do
            not fit: training begins anew.
    """

    def __init__(self, space: Space, home: Path, card: Path, overrides: Mapping[str, Any]) -> None:
        self._space = space
        self._data = home / (space.train_data or "")
        self._file = read_card(card, overrides)
        self._anew = bool(area_of(space.parameters, "factory_args"))

    def check(self) -> None:
        """Raise InputError where the plan, the data or the card cannot be trained at all."""
        plan_of(self._space.train or {}, "train")
        open_examples(self._file, self._data)
        loss_for(self._file)

    def untrained(self) -> nn.Module:
        """Return the network with whatever weights it begins with."""
        return open_model(self._file, untrained=self._anew)

    def trained(self, asked: Asked, place: Path, say: Callable[[str], None]) -> nn.Module:
        """Return the trained network.

        Raises:
            InputError: a field of the plan is wrong, or model and data do not fit.
            Dropped: other trials were far ahead by the same epoch.
        """
        plan = plan_of({**(self._space.train or {}), **area_of(asked.parameters, "train")}, "train")
        module = open_model(self._file, untrained=self._anew, seed=plan.seed)
        examples = open_examples(self._file, self._data, seed=plan.seed, cache_mb=plan.cache_mb, workers=plan.workers)
        measure = measure_for(self._file)
        # Only what is judged the same way as the search's first objective says who falls behind.
        alike = measure is not None and measure.higher_is_better != self._space.lower_is_better[0]
        hooks = (_Telling(asked),) if alike else ()
        loss = loss_for(self._file)
        fit(module, loss, examples, plan, folder=place / "training", measure=measure, hooks=hooks, progress=say)
        return module


class _Telling(Hook):
    """Tells the search how each epoch did."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def after_epoch(self, model: nn.Module, record: EpochRecord) -> None:  # noqa: ARG002  (what a hook is given)
        self._asked.report(record.epoch, record.figure)
