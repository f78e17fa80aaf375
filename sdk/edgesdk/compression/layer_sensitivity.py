"""What each layer of a model bears: its score with this one layer made smaller, the rest as it was, no retraining.

A measured row is kept on disk at once, so that a run that was killed measures only the layers that are left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgesdk.compression.sensitivity import Score
from edgesdk.compression.spread import Choice, spread
from edgesdk.compression.subject import Subject
from edgesdk_targets.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make one layer smaller.

    Attributes:
        amount: how much is taken, in the unit of the pass; larger is smaller.
        means: the same in words, such as `rank 12`.
        size: what the layer takes then of the pass's budget.
        error: of its weights, relative.
        make: gives the model with only this layer so; None where the layer stays as it is.
    """

    amount: float
    means: str
    size: float
    error: float
    make: Callable[[], Subject] | None


@dataclass(frozen=True, slots=True)
class LayerSensitivity:
    """What one layer bears; all lists go from the smallest way to the largest.

    Attributes:
        amounts, means, sizes: of the ways.
        scores: of the model with only this layer so.
        alike: the place of the way that all layers would take without this measurement.
        taken: the place of the one that it takes.
    """

    layer: str
    amounts: tuple[float, ...]
    means: tuple[str, ...]
    sizes: tuple[float, ...]
    scores: tuple[float, ...]
    alike: int
    taken: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def survey_layers(
    ways: Mapping[str, Sequence[Way]],
    alike: Mapping[str, int],
    *,
    score: Score,
    whole: Subject,
    evaluations: int,
    kept: KeptScores,
    say: Callable[[str], None],
) -> list[LayerSensitivity]:
    """Measure what layers bear, and spread over them what they would take together if all were treated alike.

    Args:
        ways: of each layer, smallest first.
        alike: the place of each layer's way that all would take alike.
        whole: the model in which no layer is smaller yet.
        evaluations: how often a score may be asked for; layers with most to win are measured first, and those for which none is
            left stay out of the result.

    Returns:
        Most sensitive first.
    """
    most_to_win = sorted(ways, key=lambda name: ways[name][0].size - ways[name][-1].size)
    asked: list[str] = []
    for name in most_to_win:
        needed = sum(way.make is not None for way in ways[name])
        if len(ways[name]) > 1 and needed <= evaluations:
            evaluations -= needed
            asked.append(name)
    best = score(whole)
    scores: dict[str, list[float]] = {}
    for place, name in enumerate(asked, 1):
        say(f"sensitivity: {name} ({place} of {len(asked)})")
        scores[name] = kept.scores(name, [way.amount for way in ways[name]]) or [
            best if way.make is None else score(way.make()) for way in ways[name]
        ]
        kept.keep(name, [way.amount for way in ways[name]], scores[name])
    choices = {
        name: [
            Choice(way.size, max(0.0, best - value), way.error)
            for way, value in zip(ways[name], scores[name], strict=True)
        ]
        for name in asked
    }
    taken = spread(choices, sum(ways[name][alike[name]].size for name in asked))
    rows = [
        LayerSensitivity(
            name,
            tuple(way.amount for way in ways[name]),
            tuple(way.means for way in ways[name]),
            tuple(way.size for way in ways[name]),
            tuple(scores[name]),
            alike[name],
            taken[name],
        )
        for name in asked
    ]
    return sorted(rows, key=lambda row: row.scores[row.alike])


class KeptScores:
    """Scores that were measured, by layer, in a file of the pass's own folder, which is one of this recipe and model only.

    A file that is damaged counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sensitivity.json"
        try:
            read = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            read = {}
        self._rows: dict[str, Any] = read if isinstance(read, dict) else {}

    def scores(self, layer: str, amounts: Sequence[float]) -> list[float] | None:
        """Return a layer's scores for these amounts, if they were measured."""
        row = self._rows.get(layer)
        if not isinstance(row, dict) or row.get("amounts") != list(amounts):
            return None
        found = row.get("scores")
        fits = isinstance(found, list) and len(found) == len(amounts) and all(isinstance(one, float) for one in found)
        return found if fits else None

    def keep(self, layer: str, amounts: Sequence[float], scores: Sequence[float]) -> None:
        """Write a layer's scores beside the others.

        Raises:
            NoSpace, InputError: the file cannot be written.
        """
        self._rows[layer] = {"amounts": list(amounts), "scores": list(scores)}
        write_whole(self._path, json.dumps(self._rows, allow_nan=False).encode())


def survey_record(
    rows: Sequence[LayerSensitivity], *, across: str, unit: str, scores: tuple[float, float]
) -> dict[str, Any]:
    """Return what was measured, ready for JSON.

    Args:
        across: what the amounts are.
        unit: of the sizes.
        scores: of the model with all layers alike, and with each as it was chosen for it; the better one is taken.
    """
    alike, by_layer = scores
    return {
        "across": across,
        "unit": unit,
        "score_alike": alike,
        "score_by_layer": by_layer,
        "taken": "by layer" if by_layer >= alike else "alike",
        "layers": [row.to_json() for row in rows],
    }
