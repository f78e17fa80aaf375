"""What each pass may be told, checked as it is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgesdk.train.plan import Plan

Part = Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)]
Patterns = tuple[str, ...]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Pass(Settings):
    """What every pass has.

    Attributes:
        recover: how the model is trained after the pass; `recovery` of the recipe unless given, False for not at all.
    """

    recover: Plan | Literal[False] | None = None


class Prune(_Pass):
    """Take channels.

    Attributes:
        macs, latency: the part that is kept, of the multiplications or of the measured time.
        max_macs, max_ms, max_bytes: what is kept at most: multiplications, milliseconds of an inference on one thread, bytes of the
            weights in float; one of the five. A model that keeps to it already stays whole.
        runtime: whose time is measured: the target's own runtime unless given.
        skip: patterns of layers that keep their channels.
        multiple: channels that stay are a multiple of it.
        most: of a group, that may go.
    """

    kind: Literal["prune"] = Field(alias="pass")
    macs: Part | None = None
    latency: Part | None = None
    max_macs: int | None = Field(default=None, ge=1)
    max_ms: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    max_bytes: int | None = Field(default=None, ge=1)
    runtime: Literal["onnxruntime", "openvino", "litert"] | None = None
    skip: Patterns = ()
    multiple: int = Field(default=4, ge=1, le=64)
    most: Part = 0.9

    @model_validator(mode="after")
    def _one(self) -> Prune:
        _exactly_one(self, ("macs", "latency", "max_macs", "max_ms", "max_bytes"))
        if self.runtime is not None and not self.timed:
            raise ValueError("`runtime` is about `latency` and `max_ms`, of which none is given")
        return self

    @property
    def timed(self) -> bool:
        """Whether the budget is one of measured time."""
        return self.latency is not None or self.max_ms is not None


class Sparsify(_Pass):
    """Set the smallest weights to 0.

    Attributes:
        amount: the part that becomes 0.
        layers: patterns.
        each_layer: of each layer, and not of all together.
    """

    kind: Literal["sparsify"] = Field(alias="pass")
    amount: Part
    layers: Patterns = ("*",)
    each_layer: bool = False


class Factorise(_Pass):
    """Make two thin layers of one.

    Attributes:
        energy: the part of each weight's sum of squares that is kept. Where it is measured what layers bear, on the whole: one
            layer may lose four times as much, another nothing, in no more numbers than with all alike.
        parameters, macs: the part of the whole model's that is kept; one of the three.
        layers: patterns.
    """

    kind: Literal["factorise"] = Field(alias="pass")
    energy: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] | None = None
    parameters: Part | None = None
    macs: Part | None = None
    layers: Patterns = ("*",)

    @model_validator(mode="after")
    def _one(self) -> Factorise:
        _exactly_one(self, ("energy", "parameters", "macs"))
        return self


class Tie(_Pass):
    """Let layers use one weight.

    Attributes:
        groups: patterns of the layers of each group, or one pattern.
    """

    kind: Literal["tie"] = Field(alias="pass")
    groups: Annotated[tuple[str | Patterns, ...], Field(min_length=1)]


class Cluster(_Pass):
    """Let weights hold few distinct numbers.

    Attributes:
        count: of each weight. Where it is measured what layers bear, on the whole: one layer may have half of it, another four
            times, in no more bytes, deflated, than with all alike.
        layers: patterns.
    """

    kind: Literal["cluster"] = Field(alias="pass")
    count: Annotated[int, Field(ge=2, le=1 << 16)] = 16
    layers: Patterns = ("*",)


class Distil(Settings):
    """Learn what a larger model answers.

    Attributes:
        teacher: the card of another model of the same task; the model as it was before all passes unless given.
        temperature: by which both models' logits are divided.
        weight: of the answers' likeness, beside 1 for what is true; 0 for features alone.
        features: from the student's layers to the teacher's.
        feature_weight: of the features' likeness.
        training: how long and how fast; the recipe's `recovery` unless given.
    """

    kind: Literal["distil"] = Field(alias="pass")
    teacher: str | None = None
    temperature: Annotated[float, Field(ge=1.0, le=100.0, allow_inf_nan=False)] = 4.0
    weight: Annotated[float, Field(ge=0.0, le=1000.0, allow_inf_nan=False)] = 1.0
    features: dict[str, str] = Field(default_factory=dict)
    feature_weight: Annotated[float, Field(ge=0.0, le=1000.0, allow_inf_nan=False)] = 0.1
    training: Plan | None = None

    @model_validator(mode="after")
    def _teaches(self) -> Distil:
        if not self.weight and not (self.features and self.feature_weight):
            raise ValueError("nothing is learnt from the teacher: `weight` is 0, and so are `features` or their weight")
        return self


class Fold(Settings):
    """Make normalisations part of the layers before them."""

    kind: Literal["fold"] = Field(alias="pass")


class Qat(Settings):
    """Learn with numbers rounded to 8 bits.

    Attributes:
        layers, skip: patterns of layers that are rounded, and of those that are not.
        freeze: after which part of the epochs ranges and normalisations stand still.
        training: how long and how fast; the recipe's `recovery` unless given.
    """

    kind: Literal["qat"] = Field(alias="pass")
    layers: Patterns = ("*",)
    skip: Patterns = ()
    freeze: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.7
    training: Plan | None = None


PassSettings = Annotated[
    Prune | Sparsify | Factorise | Tie | Cluster | Distil | Fold | Qat,
    Field(discriminator="kind"),
]


def _exactly_one(settings: BaseModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(settings, name) is not None]
    if len(given) != 1:
        raise ValueError(f"one of {', '.join(names)} has to be given, and {len(given)} are")
