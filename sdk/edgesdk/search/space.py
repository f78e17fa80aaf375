"""What is searched, as data: `space.yaml`.

A parameter's name says what it sets: `factory_args.width` an argument of the card's factory, `train.learning_rate` a field of the
training plan, `compress.prune.macs` an argument of a recipe's pass, `deploy.precision` how the model is deployed. What is not
searched stands under `train`, `compress` and `deploy` as it is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, Field, field_validator, model_validator

from edgesdk.figure_direction import counts_errors
from edgesdk.search.parameter import Choice, Frozen, Range, Scalar
from edgesdk_targets.bundle.manifest import MAX_BATCH
from edgesdk_targets.target import Precision
from edgesdk_targets.yaml_file import load_yaml, validate

Sampler = Literal["tpe", "random", "grid", "nsga2"]
# What a trial costs, and whether less of it is better; every other name is a figure of `edgesdk evaluate`.
COSTS = {"ms": True, "bytes": True, "rss_bytes": True, "fps": False}
MAX_TRIALS = 100_000
_AREAS = ("factory_args", "train", "compress", "deploy")
_MAY_CHANGE = {"trials", "minutes"}
# A grid counts its configurations in 64 bits, and optuna writes all values of a parameter beside each trial.
_LARGEST_GRID = 1 << 62
_MOST_VALUES = 1000


class Deploy(Frozen):
    """How a trial's model is deployed and timed.

    Attributes:
        input_size: of the picture, both sides; None for the card's own.
        threads: of one inference.
        streams: inferences at the same time; `fps` counts all of them.
        batch: pictures of one inference; `fps` counts all of them, `ms` is of all together.
    """

    precision: Precision = Precision.FP32
    input_size: int | None = Field(default=None, ge=1, le=16384)
    threads: int = Field(default=1, ge=1, le=1024)
    streams: int = Field(default=1, ge=1, le=1024)
    batch: int = Field(default=1, ge=1, le=MAX_BATCH)


class Limits(Frozen):
    """What a configuration may cost, and has to give.

    Attributes:
        ms: time of one inference, here.
        least, most: by a figure's name.
    """

    ms: float | None = Field(default=None, gt=0)
    bytes: ByteSize | None = None
    rss_bytes: ByteSize | None = None
    fps: float | None = Field(default=None, gt=0)
    least: dict[str, float] = Field(default_factory=dict)
    most: dict[str, float] = Field(default_factory=dict)

    @property
    def costs(self) -> dict[str, float]:
        """The limits on costs, by name."""
        given = {name: getattr(self, name) for name in COSTS}
        return {name: float(value) for name, value in given.items() if value is not None}


class Space(Frozen):
    """A search.

    Attributes:
        model: the card, relative to this file.
        target: what each trial is converted for; its own limits apply, too.
        data: labelled pictures, by which a trial is judged.
        train: the plan by which each trial is trained, see `edgesdk.train.plan`; None takes the weights as they are.
        train_data: labelled pictures to train on.
        compress: the recipe by which each trial is made smaller, see `edgesdk.compression.recipe`, without what this file says
            itself; None makes nothing smaller.
        loss: `package.module:function`, for a task without a usual loss.
        calib_data: pictures on which INT8 ranges are measured.
        objectives: names of figures or costs; the first decides among equals.
        baseline: a configuration made by hand, tried first and compared with.
        trials: finished ones, in all runs together.
        minutes: begin no further trial after so long, of this run.
    """

    model: str
    target: str
    data: str
    train: dict[str, Any] | None = None
    train_data: str | None = None
    compress: dict[str, Any] | None = None
    loss: str | None = None
    calib_data: str | None = None
    objectives: tuple[str, ...] = Field(min_length=1, max_length=4)
    limits: Limits = Field(default_factory=Limits)
    parameters: dict[str, Choice | Range] = Field(min_length=1)
    baseline: dict[str, Scalar] = Field(default_factory=dict)
    deploy: Deploy = Field(default_factory=Deploy)
    sampler: Sampler = "tpe"
    trials: int = Field(default=30, ge=1, le=MAX_TRIALS)
    minutes: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=1 << 31)

    @field_validator("objectives")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("an objective is given twice")
        return names

    @model_validator(mode="after")
    def _consistent(self) -> Space:
        for name, parameter in self.parameters.items():
            _check_name(name, parameter)
            if name.startswith("train.") and self.train is None:
                raise ValueError(f"parameters.{name} needs `train:` with what is not searched, `{{}}` for nothing")
            if name.startswith("compress.") and self.compress is None:
                raise ValueError(f"parameters.{name} needs `compress:` with the passes that there are")
        if self.sampler == "grid":
            _check_grid(self.parameters)
        for name, value in self.baseline.items():
            if name not in self.parameters:
                raise ValueError(f"baseline.{name} is no parameter")
            if not self.parameters[name].holds(value):
                raise ValueError(f"baseline.{name}: {value!r} is not in the parameter's range, or not on its steps")
        if self.baseline and (missing := sorted(set(self.parameters) - set(self.baseline))):
            raise ValueError(f"baseline lacks {missing[0]}")
        if self.train is not None and self.train_data is None:
            raise ValueError("train needs train_data, the pictures to train on")
        return self

    @property
    def lower_is_better(self) -> tuple[bool, ...]:
        """Of each objective."""
        return tuple(is_lower_better(name) for name in self.objectives)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Every precision that a trial may be asked in by name."""
        asked = self.parameters.get("deploy.precision")
        return tuple(Precision(str(one)) for one in asked.values) if asked is not None else (self.deploy.precision,)

    @property
    def size(self) -> int | None:
        """How many configurations there are; None where there is no end of them."""
        return _size(self.parameters)

    def identity(self) -> str:
        """Return a digest of what this file says that must be the same for a search to go on: all but when it ends.

        Of what stands behind its paths it knows nothing.
        """
        fields = self.model_dump(mode="json", exclude=_MAY_CHANGE)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def is_lower_better(name: str) -> bool:
    """Say whether less of a cost or of a figure is better."""
    return COSTS[name] if name in COSTS else counts_errors(name)


def area_of(parameters: Mapping[str, Any], area: str) -> dict[str, Any]:
    """Return the parameters of one area, such as `deploy`, by their own names."""
    mine = f"{area}."
    return {name.removeprefix(mine): value for name, value in parameters.items() if name.startswith(mine)}


def read_space(path: str | Path, changes: Mapping[str, Any] | None = None) -> Space:
    """Read a space.

    Args:
        changes: fields that replace the file's own, such as `{"trials": 60}`.

    Raises:
        InputError: it cannot be read, or a field is unknown or wrong; the message names line and field.
    """
    document = load_yaml(path)
    if changes and isinstance(document.data, dict):
        document = replace(document, data={**document.data, **changes})
    return validate(Space, document)


def _check_name(name: str, parameter: Choice | Range) -> None:
    area, _, rest = name.partition(".")
    if area not in _AREAS or not rest:
        raise ValueError(f"parameters.{name}: a name begins with one of {', '.join(a + '.' for a in _AREAS)}")
    if area != "deploy":
        return
    if rest not in Deploy.model_fields:
        raise ValueError(f"parameters.{name}: deploy has the fields {', '.join(Deploy.model_fields)}")
    ends = parameter.choice if isinstance(parameter, Choice) else (parameter.low, parameter.high)
    for value in ends:
        # A value that no deployment has is told now, and not in the tenth trial.
        Deploy.model_validate({rest: value})


def _check_grid(parameters: Mapping[str, Choice | Range]) -> None:
    for name, parameter in parameters.items():
        if not parameter.count:
            raise ValueError(f"parameters.{name} has no end of values: give it a step or a choice for the grid")
        if parameter.count > _MOST_VALUES:
            raise ValueError(
                f"parameters.{name} has {parameter.count} values, and a grid takes {_MOST_VALUES} at most: "
                f"give it a larger step, or take another sampler"
            )
    if (_size(parameters) or 0) > _LARGEST_GRID:
        raise ValueError("parameters: the grid has more configurations than can be counted; take another sampler")


def _size(parameters: Mapping[str, Choice | Range]) -> int | None:
    counts = [parameter.count for parameter in parameters.values()]
    return math.prod(counts) if all(counts) else None
