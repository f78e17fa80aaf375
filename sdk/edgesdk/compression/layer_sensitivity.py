"""What each layer of a model bears: its score with this one layer made smaller, the rest as it was, no retraining."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.sensitivity import Score
from edgesdk.compression.subject import Subject

# What a way means that leaves its layer alone; it costs no score of its own.
AS_IT_WAS = "as it was"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make one layer smaller.

    Attributes:
        means: the way in words, such as `rank 12`; no other of the layer has the same.
        amount: where the way stands in a plot: of `factorise` the part of the layer's energy that is lost, of `cluster` the bits of
            a number.
        size: what the layer takes then of the pass's budget.
        error: the part of its weights' sum of squares that is lost.
        made: the model with only this layer so; None where the layer stays as it is.
    """

    means: str
    amount: float
    size: float
    error: float
    made: Subject | None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, or several that share a weight, that may take another way than all would alike.

    Attributes:
        name: of it; of several, all of them.
        takes: of the pass's budget, about; the largest are measured first.
        tried: the words of all ways.
        alike: those of the way that all would take without a measurement.
        ways: makes the ways, one after the other, without those with which the model does not run. Only a layer that is measured is
            asked for them, as they may be dear, and each is let go before the next one is made.
    """

    name: str
    takes: float
    tried: tuple[str, ...]
    alike: str
    ways: Callable[[], Iterator[Way]]

    @property
    def scores(self) -> int:
        """How many scores it takes to measure it, at most."""
        return sum(means != AS_IT_WAS for means in self.tried)


class LayerSensitivity(BaseModel):
    """What one layer bears; all lists go from the smallest way to the largest.

    Attributes:
        means, amounts, sizes, errors: of the ways.
        scores: of the model with only this layer so.
        alike: the place of the way that all layers would take without this measurement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layer: str
    means: tuple[str, ...]
    amounts: tuple[float, ...]
    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    scores: tuple[float, ...]
    alike: int

    @model_validator(mode="after")
    def _whole(self) -> LayerSensitivity:
        lists = (self.means, self.amounts, self.sizes, self.errors, self.scores)
        if len(set(map(len, lists))) != 1 or not 0 <= self.alike < len(self.means):
            raise ValueError("the lists are not of one length")
        return self


def affordable(layers: Sequence[Layer], scores: int) -> list[Layer]:
    """Return the layers that so many scores are enough for, those that take most first."""
    found = []
    for layer in sorted(layers, key=lambda one: -one.takes):
        if len(layer.tried) > 1 and layer.scores <= scores:
            scores -= layer.scores
            found.append(layer)
    return found


def layer_sensitivity(layer: Layer, score: Score, whole: float) -> LayerSensitivity | None:
    """Measure what one layer bears.

    Args:
        whole: the score of the model in which no layer is smaller yet.

    Returns:
        None where the way that all layers would take alike does not run alone: the layer then takes that with all others.
    """
    found = [
        (way.size, way.means, way.amount, way.error, whole if way.made is None else score(way.made))
        for way in layer.ways()
    ]
    if not any(means == layer.alike for _, means, *_ in found):
        return None
    sizes, names, amounts, errors, scores = zip(*sorted(found, key=lambda one: one[0]), strict=True)
    return LayerSensitivity(
        layer=layer.name,
        means=names,
        amounts=amounts,
        sizes=sizes,
        errors=errors,
        scores=scores,
        alike=names.index(layer.alike),
    )


def kept_row(kept: KeptScores, layer: Layer, unit: str) -> LayerSensitivity | None:
    """Return what was measured of a layer, if these ways were tried."""
    try:
        row = LayerSensitivity.model_validate(kept.get(layer.name, _asked(layer, unit)))
    except ValidationError:
        return None
    return row if row.means[row.alike] == layer.alike else None


def keep_row(kept: KeptScores, layer: Layer, unit: str, row: LayerSensitivity) -> None:
    """Keep what was measured of a layer.

    Raises:
        NoSpace, InputError: the file cannot be written.
    """
    kept.keep(layer.name, _asked(layer, unit), row.model_dump(mode="json"))


def _asked(layer: Layer, unit: str) -> list[Any]:
    return [list(layer.tried), unit]
