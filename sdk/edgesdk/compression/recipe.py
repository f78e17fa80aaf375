"""A recipe: which passes make a model smaller, and on what they are judged, as its author wrote it down.

Paths are relative to the recipe. Passes are run in the order of their kind, whatever order they are written in, as some would undo
others: first what changes the structure, then what learns, then what rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgesdk.compression.catalogue import PASSES
from edgesdk.compression.pass_settings import Part, PassSettings, Settings
from edgesdk.train.plan import Plan
from edgesdk_targets.card import NAME, VERSION
from edgesdk_targets.yaml_file import YamlDocument, load_yaml, validate


class Data(Settings):
    """Where the pictures are.

    Attributes:
        train: labelled, to learn from.
        evaluate: labelled and kept apart, by which every pass is judged.
        choose: labelled, on which sensitivity and quick scores are measured; those that `train` keeps for validation unless given.
        calibrate: on which ranges for INT8 are measured; those of `train` unless given.
    """

    train: str | None = None
    evaluate: str
    choose: str | None = None
    calibrate: str | None = None


class Sensitivity(Settings):
    """How it is measured what each part of the model bears.

    Attributes:
        ratios: of a group's channels that are gone.
        pictures: to choose by that are asked about, at most.
        evaluations: how often the model is scored in each pass that makes single layers smaller, at most: three times as a whole,
            the rest for single layers, the largest first. With 0 all layers are treated alike.
    """

    ratios: Annotated[tuple[Part, ...], Field(min_length=1, max_length=9)] = (0.25, 0.5, 0.75)
    pictures: int = Field(default=200, ge=1)
    evaluations: int = Field(default=64, ge=0)


@dataclass(frozen=True, slots=True)
class Step:
    """One pass of a recipe with what follows it.

    Attributes:
        plan: of the pass's own training, or of the recovery after it; None for neither.
        judged: whether the gate looks at what comes of it.
    """

    settings: Any
    plan: Plan | None
    judged: bool

    def to_json(self) -> dict[str, Any]:
        """Return what the step's result depends on."""
        plan = self.plan.model_dump(mode="json") if self.plan else None
        return {"settings": self.settings.model_dump(mode="json", by_alias=True), "plan": plan}


class Recipe(Settings):
    """Which passes make a model smaller.

    Attributes:
        name, version: of the compressed model; those of the model, with `-small`, unless given.
        sensitivity: False for none; all groups of channels, and all layers, are then treated alike.
        recovery: how the model is trained after a pass that costs accuracy; False for not at all.
        loss: `package.module:function` beside the card, of a task without a usual one (a detector's).
        precision: of the artifact, as for `edgesdk convert`; INT8 after `qat` unless given.
    """

    name: Annotated[str, Field(pattern=NAME)] | None = None
    version: Annotated[str, Field(pattern=VERSION)] | None = None
    data: Data
    sensitivity: Sensitivity | Literal[False] = Field(default_factory=Sensitivity)
    passes: Annotated[tuple[PassSettings, ...], Field(min_length=1, max_length=50)]
    recovery: Plan | Literal[False] = Field(default_factory=lambda: Plan(epochs=10))
    loss: str | None = None
    precision: Literal["fp32", "fp16", "int8", "mixed"] | None = None
    seed: int = Field(default=0, ge=0, lt=1 << 32)

    @model_validator(mode="after")
    def _sound(self) -> Recipe:
        kinds = [settings.kind for settings in self.passes]
        if "cluster" in kinds and "qat" in kinds:
            raise ValueError("`cluster` and `qat` undo each other: 8-bit steps of each channel share no codebook")
        if self.data.train is None and (learns := [kind for kind in kinds if PASSES[kind].learns]):
            raise ValueError(f"`{learns[0]}` learns, and `data.train` is not given")
        if self.of_artifact in {"int8", "mixed"} and not (self.data.calibrate or self.data.train):
            raise ValueError(f"`precision: {self.of_artifact}` needs pictures in `data.calibrate` or `data.train`")
        return self

    @property
    def of_artifact(self) -> str | None:
        """The precision that the artifact is asked for in; None for the converter's choice."""
        return self.precision or ("int8" if any(settings.kind == "qat" for settings in self.passes) else None)

    @property
    def ordered(self) -> tuple[PassSettings, ...]:
        """The passes in a sound order; those of one kind stay as they are written."""
        return tuple(sorted(self.passes, key=lambda settings: PASSES[settings.kind].stage))

    @property
    def reordered(self) -> bool:
        """Whether that is another order than the written one."""
        return self.ordered != self.passes

    def steps(self) -> tuple[Step, ...]:
        """Return the passes in order, each with its training and whether it is judged.

        A pass that costs accuracy is followed by a recovery; where the next pass learns, that one's training is the recovery, and
        both are judged together.
        """
        ordered: tuple[Any, ...] = self.ordered
        found = []
        for settings, following in zip(ordered, (*ordered[1:], None), strict=True):
            kind = PASSES[settings.kind]
            if kind.learns:
                found.append(Step(settings, settings.training or self.recovery or Plan(epochs=10), judged=True))
                continue
            own = getattr(settings, "recover", None)
            learnt_next = following is not None and PASSES[following.kind].learns and kind.costs and own is None
            chosen = self.recovery if own is None else own
            plan = chosen if kind.costs and not learnt_next and self.data.train is not None else False
            found.append(Step(settings, plan or None, judged=not learnt_next))
        return tuple(found)


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: it is missing, no YAML, names an unknown pass, or a value is wrong; the message names line and field.
    """
    return validate(Recipe, load_yaml(path))


def recipe_of(passes: Sequence[dict[str, Any]] | dict[str, Any], **rest: Any) -> Recipe:
    """Return the recipe of plain values: a whole one, or a list of passes with the rest by name.

    Raises:
        InputError: as of `read_recipe`.
    """
    values = dict(passes) if isinstance(passes, dict) else {"passes": list(passes)}
    return validate(Recipe, YamlDocument({**values, **rest}, {}, "recipe"))
