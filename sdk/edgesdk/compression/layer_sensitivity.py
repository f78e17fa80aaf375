"""What each layer of a model bears: its score with this one layer made smaller, the rest as it was, no retraining.

A measured row is kept on disk at once, so that a run that was killed measures only the layers that are left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from edgesdk.compression.sensitivity import Score
from edgesdk.compression.subject import Subject
from edgesdk_targets.whole_file import write_whole

# What a way means that leaves its layer alone; it costs no score of its own.
AS_IT_WAS = "as it was"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make one layer smaller.

    Attributes:
        means: the way in words, such as `rank 12`; no other of the layer has the same.
        amount: how much is taken, or left, in the unit of the pass.
        size: what the layer takes then of the pass's budget.
        error: of its weights, relative.
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


class KeptRows:
    """Rows that were measured, in a file of the pass's own folder, which is one of this recipe and model only.

    A file that is damaged counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sensitivity.json"
        try:
            read = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            read = {}
        self._rows: dict[str, Any] = read if isinstance(read, dict) else {}

    def row(self, layer: Layer) -> LayerSensitivity | None:
        """Return what was measured of a layer, if these ways were tried."""
        kept = self._rows.get(layer.name)
        if not isinstance(kept, dict) or kept.get("tried") != list(layer.tried):
            return None
        try:
            return LayerSensitivity.model_validate(kept.get("row"))
        except ValidationError:
            return None

    def keep(self, layer: Layer, row: LayerSensitivity) -> None:
        """Write what was measured of a layer beside the others.

        Raises:
            NoSpace, InputError: the file cannot be written.
        """
        self._rows[layer.name] = {"tried": list(layer.tried), "row": row.model_dump(mode="json")}
        write_whole(self._path, json.dumps(self._rows, allow_nan=False).encode())
