"""What is searched, as data: `space.yaml`.

A parameter's name says what it sets: `factory_args.width` an argument of the card's factory, `train.learning_rate` a field of the
training plan, `deploy.precision` how the model is deployed. What is not searched stands under `train` and `deploy` as it is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from edgesdk_targets.target import Precision
from edgesdk_targets.yaml_file import load_yaml, validate

Scalar = bool | int | float | str
Sampler = Literal["tpe", "random", "grid", "nsga2"]
# What a trial costs, and whether less of it is better; every other name is a figure of `edgesdk evaluate`.
COSTS = {"ms": True, "bytes": True, "rss_bytes": True, "fps": False}
_ERRORS = {"error", "cer", "wer", "mae", "rmse", "mse", "ece"}
_AREAS = ("factory_args", "train", "deploy")
_MAY_CHANGE = {"trials", "minutes"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(_Frozen):
    """One of several values."""

    choice: tuple[Scalar, ...] = Field(min_length=1)

    @property
    def values(self) -> tuple[Scalar, ...]:
        return self.choice

    def holds(self, value: Scalar) -> bool:
        return value in self.choice


class Range(_Frozen):
    """A number between two ends, both included; whole where both ends are.

    Attributes:
        step: only `low`, `low + step`, …
        log: the logarithm is drawn evenly, for what spans powers of ten.
    """

    low: int | float
    high: int | float
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range lies above 0 and has no step")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def values(self) -> tuple[Scalar, ...]:
        """Every value there is; none where they cannot be counted."""
        step = self.step or (1 if self.whole else None)
        if step is None or self.log:
            return ()
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return tuple(self.low + place * step for place in range(count))

    def holds(self, value: Scalar) -> bool:
        return not isinstance(value, (bool, str)) and self.low <= value <= self.high


class Deploy(_Frozen):
    """How a trial's model is deployed and timed.

    Attributes:
        input_size: of the picture, both sides; None for the card's own.
        threads: of one inference.
        streams: inferences at the same time; `fps` counts all of them.
    """

    precision: Precision = Precision.FP32
    input_size: int | None = Field(default=None, ge=1, le=16384)
    threads: int = Field(default=1, ge=1, le=1024)
    streams: int = Field(default=1, ge=1, le=1024)


class Limits(_Frozen):
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


class Space(_Frozen):
    """A search.

    Attributes:
        model: the card, relative to this file.
        target: what each trial is converted for; its own limits apply, too.
        data: labelled pictures, by which a trial is judged.
        train: the plan by which each trial is trained, see `edgesdk.train.plan`; None takes the weights as they are.
        train_data: labelled pictures to train on.
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
    calib_data: str | None = None
    objectives: tuple[str, ...] = Field(min_length=1, max_length=4)
    limits: Limits = Field(default_factory=Limits)
    parameters: dict[str, Choice | Range] = Field(min_length=1)
    baseline: dict[str, Scalar] = Field(default_factory=dict)
    deploy: Deploy = Field(default_factory=Deploy)
    sampler: Sampler = "tpe"
    trials: int = Field(default=30, ge=1, le=100_000)
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
            if self.sampler == "grid" and not parameter.values:
                raise ValueError(f"parameters.{name} has no end of values: give it a step or a choice for the grid")
        for name, value in self.baseline.items():
            if name not in self.parameters:
                raise ValueError(f"baseline.{name} is no parameter")
            if not self.parameters[name].holds(value):
                raise ValueError(f"baseline.{name}: {value!r} is not in the parameter's range")
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
    def size(self) -> int | None:
        """How many configurations there are; None where there is no end of them."""
        counts = [len(parameter.values) for parameter in self.parameters.values()]
        return math.prod(counts) if all(counts) else None

    def identity(self) -> str:
        """Return what must be the same for a search to go on: all but when it ends."""
        fields = self.model_dump(mode="json", exclude=_MAY_CHANGE)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def is_lower_better(name: str) -> bool:
    """Say whether less of a cost or of a figure is better."""
    return COSTS[name] if name in COSTS else not _ERRORS.isdisjoint(name.split("_"))


def area_of(parameters: Mapping[str, Any], area: str) -> dict[str, Any]:
    """Return the parameters of one area, such as `deploy`, by their own names."""
    mine = f"{area}."
    return {name.removeprefix(mine): value for name, value in parameters.items() if name.startswith(mine)}


def read_space(path: str | Path) -> Space:
    """Read a space.

    Raises:
        InputError: it cannot be read, or a field is unknown or wrong; the message names line and field.
    """
    return validate(Space, load_yaml(path))


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
