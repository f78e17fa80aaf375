"""Each layer as it bears: what all layers may take is spread over them by a measurement, and the better model is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from edgesdk.compression.layer_sensitivity import (
    Layer,
    LayerSensitivity,
    affordable,
    keep_row,
    kept_row,
    layer_sensitivity,
)
from edgesdk.compression.spread import Choice, spread
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_targets.errors import InputError

# Scores beside those of single layers: the model as it was, with all layers alike, and with each as it bears.
_BESIDE = 3
# Of each layer that was measured, by its name, the words of the way that it takes.
Taken = Mapping[str, str]


def by_layer(
    whole: Subject,
    alike: PassDone,
    layers: Sequence[Layer],
    combine: Callable[[Taken], PassDone],
    bench: Workbench,
    *,
    across: str,
    unit: str,
    spare: float = 0.0,
) -> PassDone:
    """Return the model with each layer as it bears, or with all alike where that scores better.

    The model is scored as often as the workbench allows, at most. Layers that no scores are left for are as all would be.

    Args:
        whole: the model before the pass.
        alike: the model with all layers alike.
        layers: those of which something else may be tried.
        combine: gives the model with these ways taken, all other layers alike.
        across: what the ways' amounts are.
        unit: of their sizes.
        spare: how much more the model may take than with all layers alike, in this unit: what they leave of what was asked for.
    """
    asked = affordable(layers, bench.evaluations - _BESIDE)
    if not asked:
        bench.say(f"sensitivity: no layer can be measured with {bench.evaluations} scores: all are treated alike")
        return alike
    best, rows = _measured(whole, asked, bench, unit)
    choices = {
        row.layer: [
            Choice(size, max(0.0, best - score), error)
            for size, score, error in zip(row.sizes, row.scores, row.errors, strict=True)
        ]
        for row in rows
    }
    places = spread(choices, sum(row.sizes[row.alike] for row in rows) + spare)
    made = _combined(combine, {row.layer: row.means[places[row.layer]] for row in rows}, bench)
    score_alike = bench.score(alike.subject)
    # A model that does not run has 0, as one without numbers.
    score_made = bench.score(made.subject) if made is not None else 0.0
    taken = made if made is not None and score_made >= score_alike else alike
    sensitivity = {
        "across": across,
        "unit": unit,
        "score_alike": score_alike,
        "score_by_layer": score_made,
        "taken": "alike" if taken is alike else "by layer",
        "layers": [row.model_dump(mode="json") | {"taken": places[row.layer]} for row in rows],
    }
    return PassDone(taken.subject, {**taken.record, "layer_sensitivity": sensitivity})


def _measured(
    whole: Subject, asked: Sequence[Layer], bench: Workbench, unit: str
) -> tuple[float, list[LayerSensitivity]]:
    """Return the whole model's score, and what each layer bears, most sensitive first."""
    known = {layer.name: kept_row(bench.kept, layer, unit) for layer in asked}
    began = time.monotonic()
    best = bench.score(whole)
    left = _BESIDE - 1 + sum(layer.scores for layer in asked if known[layer.name] is None)
    bench.say(
        f"sensitivity: {left} scores of {bench.pictures} pictures, about {_lasting(left * (time.monotonic() - began))}"
    )
    rows = []
    for place, layer in enumerate(asked, 1):
        row = known[layer.name]
        if row is None:
            bench.say(f"sensitivity: {layer.name} ({place} of {len(asked)})")
            row = layer_sensitivity(layer, bench.score, best)
            if row is None:
                continue
            keep_row(bench.kept, layer, unit, row)
        rows.append(row)
    return best, sorted(rows, key=lambda row: row.scores[row.alike])


def _combined(combine: Callable[[Taken], PassDone], taken: Taken, bench: Workbench) -> PassDone | None:
    """Return the model with each layer as it bears; None where it does not run so, though each layer alone did."""
    try:
        return combine(taken)
    except InputError as error:
        bench.say(f"sensitivity: all layers are treated alike: {error.message}")
        return None


def _lasting(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
