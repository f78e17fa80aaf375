"""What two models' answers to the same pictures say about each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesdk.evaluate.collapse import ClassDrop
from edgesdk.evaluate.drop import Drop
from edgesdk.evaluate.intervals import Metric
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The float model and an artifact, on the same pictures.

    Attributes:
        drop: of the main figure, which must be known to be small enough.
        further: drops that must not be known to be too great.
        reference, artifact: figures of each, by name; of the reference none where it is the measure itself.
        classes: what each class lost.
        scores: two samples by name, reference's and artifact's: scores, confidences or values.
        harm: (n,) how much worse the artifact's answer to each picture is; the worst are shown.
        answers: (n,) how far the answers to each picture are apart, right or wrong.
        warnings: what this comparison cannot tell.
        misplaced: why the labels seem not to belong to the pictures; empty where they do.
    """

    drop: Drop
    reference: Mapping[str, Metric]
    artifact: Mapping[str, Metric]
    further: tuple[Drop, ...] = ()
    classes: tuple[ClassDrop, ...] = ()
    scores: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    harm: Array = field(default_factory=lambda: np.zeros(0))
    warnings: tuple[str, ...] = ()
    misplaced: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "drop": self.drop.to_json(),
            "further_drops": [drop.to_json() for drop in self.further],
            "reference_metrics": {name: metric.to_json() for name, metric in self.reference.items()},
            "artifact_metrics": {name: metric.to_json() for name, metric in self.artifact.items()},
            "classes": [one.to_json() for one in self.classes],
            "scores": {name: compared_scores(*pair) for name, pair in self.scores.items()},
        }


def compared_scores(reference: Array, artifact: Array) -> dict[str, float | int]:
    """Return how two samples of scores differ: their medians, and the greatest distance of their distributions."""
    if not len(reference) or not len(artifact):
        return {
            "reference_n": len(reference),
            "artifact_n": len(artifact),
            "distance": float(len(reference) != len(artifact)),
        }
    return {
        "reference_n": len(reference),
        "artifact_n": len(artifact),
        "reference_median": round(float(np.median(reference)), 6),
        "artifact_median": round(float(np.median(artifact)), 6),
        "distance": round(distance(reference, artifact), 6),
    }


def distance(first: Array, second: Array) -> float:
    """Return Kolmogorov's and Smirnov's distance of two samples: 0 alike, 1 apart."""
    at = np.sort(np.concatenate([first, second]))
    below = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(below[0] - below[1]).max())
