"""What was measured of one model on labelled pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.metrics.calibration import Bin
from edgesdk.evaluate.working_point import BoxDetail, confusion_json
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class ClassDetail:
    """What plots of a classifier are drawn from.

    Attributes:
        labels: of all classes.
        confusion: (C, C) int64, how often each class (row) was answered with each (column).
        reliability: the bins of the calibration error; none where the scores are no probabilities.
        curves: of each class that has one, false and true positive rates, by label.
    """

    labels: tuple[str, ...]
    confusion: Array
    reliability: tuple[Bin, ...] = ()
    curves: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {
            "confusion": confusion_json(self.labels, self.confusion),
            "reliability": [one.to_json() for one in self.reliability],
        }


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The figures of a model.

    Attributes:
        metrics: by name, the task's main figure first; see docs/evaluating.md.
        by_class: the main figure of each class that has samples, by its label; of a regression `mae` of each number.
        per_class: all figures of each class, or of each number, with intervals.
        detail: of a classifier.
        boxes: of a detector whose working threshold is known.
        verdict: `measured`, as long as no gate judges it.
        warnings: what the figures do not tell.
    """

    task: str
    metrics: dict[str, Metric]
    by_class: dict[str, float] = field(default_factory=dict)
    per_class: dict[str, dict[str, Metric]] = field(default_factory=dict)
    detail: ClassDetail | None = None
    boxes: BoxDetail | None = None
    verdict: str = "measured"
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "task": self.task,
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "by_class": {name: round(value, 6) for name, value in self.by_class.items()},
            "per_class": {
                label: {name: metric.to_json() for name, metric in metrics.items()}
                for label, metrics in self.per_class.items()
            },
            **(self.detail.to_json() if self.detail else {}),
            **(self.boxes.to_json() if self.boxes else {}),
            "verdict": self.verdict,
            "warnings": list(self.warnings),
        }
