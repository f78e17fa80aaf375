"""Train a trial's model, telling the search how each epoch does, so that what falls behind is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.compression_run.pictures import Pictures
from edgesdk.evaluate.apart import in_both
from edgesdk.evaluate.dataset import Dataset
from edgesdk.search.asking import Asked
from edgesdk.search.space import COSTS, Space, area_of, is_lower_better
from edgesdk.train.examples import DEFAULT_SHARE
from edgesdk.train.fit import fit
from edgesdk.train.losses import loss_for
from edgesdk.train.measure import Measure, measure_for
from edgesdk.train.model import open_model
from edgesdk.train.moment import EpochRecord, Hook
from edgesdk.train.parting import part
from edgesdk.train.plan import plan_of
from edgesdk_targets.card import read_card
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import nn


class TrialTraining:
    """Trains a trial's model by its plan.

    Args:
        overrides: what the trial changes of the card. Where the factory's arguments are searched, weights of another network do
            not fit: training begins anew.
        pictures: of the whole search.
    """

    def __init__(self, space: Space, home: Path, card: Path, overrides: Mapping[str, Any], pictures: Pictures) -> None:
        self._space = space
        self._home = home
        self._pictures = pictures
        self._data = space.train_data or ""
        self._file = read_card(card, overrides)
        self._anew = bool(area_of(space.parameters, "factory_args"))

    def check(self, judged: Dataset) -> list[Path]:
        """Look at plan, data and card before the first trial, and return the pictures that are trained with.

        Args:
            judged: the pictures by which trials are judged.

        Raises:
            InputError: plan or card cannot be trained at all, or a trial would be judged by what it learnt.
        """
        if self._space.train is not None:
            plan_of(self._space.train, "train")
            loss_for(self._file, self._space.loss)
        parts = part(self._home / self._data, self._file.card.task, self._file.labels, DEFAULT_SHARE, seed=0)
        # All of them: which are kept for validation is drawn by each plan's seed.
        pictures = [sample.path for dataset in (parts.train, parts.validation) for sample in dataset.samples]
        both = in_both(pictures, (sample.path for sample in judged.samples))
        if both:
            raise InputError(
                f"{both[0]} is trained with and judged by, and {len(both) - 1} more are.",
                hint="Give data and train_data no picture in common; find copies by `edgesdk data dedup`.",
            )
        return pictures

    def open(self) -> None:
        """Open what is trained with, as the first trial will.

        Raises:
            InputError: as of `Pictures.to_learn_from`.
        """
        if self._space.train is not None:
            plan = plan_of(self._space.train, "train")
            self._pictures.to_learn_from(self._file, self._data, plan.seed, [plan])

    def untrained(self) -> nn.Module:
        """Return the network with whatever weights it begins with."""
        return open_model(self._file, untrained=self._anew)

    def trained(self, asked: Asked, folder: Path, say: Callable[[str], None]) -> nn.Module:
        """Return the trained network.

        Args:
            folder: of its checkpoints; a training that was cut off goes on from there.

        Raises:
            InputError: a field of the plan is wrong, or model and data do not fit.
            Dropped: other trials were far ahead by the same epoch.
        """
        plan = plan_of({**(self._space.train or {}), **area_of(asked.parameters, "train")}, "train")
        module = open_model(self._file, untrained=self._anew, seed=plan.seed)
        examples = self._pictures.to_learn_from(self._file, self._data, plan.seed, [plan], say)
        measure = measure_for(self._file)
        # What is made smaller afterwards is not told by how it was before.
        tells = self._space.compress is None and tells_of(measure, self._space.objectives[0])
        loss = loss_for(self._file, self._space.loss)
        hooks = (_Telling(asked),) if tells else ()
        fit(module, loss, examples, plan, folder=folder, measure=measure, hooks=hooks, progress=say)
        return module


def tells_of(measure: Measure | None, objective: str) -> bool:
    """Say whether an epoch's figure tells who falls behind in an objective: a quality, judged the same way, and no cost."""
    return measure is not None and objective not in COSTS and measure.higher_is_better != is_lower_better(objective)


class _Telling(Hook):
    """Tells the search how each epoch did."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def after_epoch(self, model: nn.Module, record: EpochRecord) -> None:  # noqa: ARG002  (what a hook is given)
        self._asked.report(record.epoch, record.figure)
