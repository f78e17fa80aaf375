"""How a model under compression is judged: by the code that judges artifacts, against the model before all passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from edgesdk.compression.channel_groups import ChannelGroups
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.recipe import Sensitivity
from edgesdk.compression.sensitivity import GroupSensitivity, sensitivities
from edgesdk.compression.subject import Subject
from edgesdk.evaluate.answers import Answers, collect, paths_of
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.measure_boxes import ap50
from edgesdk.evaluate.measure_classes import top1
from edgesdk.evaluate.measure_texts import cer
from edgesdk.evaluate.measure_vectors import measure_values, retrieval_top1
from edgesdk_converters.proving.gate import Predict, Verdict
from edgesdk_converters.proving.predictor import Predictor, source_predictor
from edgesdk_converters.sniff import Kind
from edgesdk_converters.source import Source
from edgesdk_targets.card import CardFile
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from edgesdk_converters.int8.calibrating import Calibrating
    from edgesdk_targets.card import ModelCard

BASELINE = "the model before compression"
# The name of each task's figure, and it as a number from 0 to 1 that is better when it is larger.
FIGURES: Mapping[str, tuple[str, Callable[[Dataset, Answers, Array], float]]] = {
    "classify": ("top-1", lambda *given: top1(*given).value),
    "detect": ("AP50", lambda *given: ap50(*given).value),
    "text": ("1 - character errors", lambda *given: max(0.0, 1.0 - cer(*given).value)),
    "embed": ("retrieval top-1", lambda *given: retrieval_top1(*given).value),
    "regress": (
        "1 - relative error",
        lambda *given: max(0.0, 1.0 - measure_values(*given).metrics["relative_error"].value),
    ),
}


def predictor_of(module: nn.Module, card: CardFile) -> Predictor:
    """Return a torch model as a function from a picture to a result, with the settings that models are judged with.

    Raises:
        InputError: it does not take one picture, or does not run.
    """
    return source_predictor(Source(Kind.MODULE, card, None, module=module), judged_with(card.card.task))


@dataclass(frozen=True, slots=True)
class Judging:
    """Labelled data kept apart, by which every pass is judged.

    Attributes:
        some: other pictures, to choose by: quick figures and sensitivity are measured on them.
        before: the model before all passes; one function, so that the gate asks it only once.
    """

    card: CardFile
    dataset: Dataset
    some: Dataset
    gate: AccuracyGate
    before: Predict

    def verdict(self, name: str, subject: Subject) -> Verdict:
        """Judge what a pass gave."""
        return self.gate.judge(name, self.before, predictor_of(subject.module, self.card))

    def score(self, subject: Subject) -> float:
        """Return the main figure on the pictures to choose by, 0 to 1, without its interval; a model without numbers has 0."""
        answers = collect(predictor_of(subject.module, self.card), paths_of(self.some))
        if answers.broken():
            return 0.0
        units = units_of(answers.paths, answers.thumbnails, self.some.groups)
        found = FIGURES[self.card.card.task][1](self.some, answers, units)
        return round(found, 6) if math.isfinite(found) else 0.0

    def for_artifacts(
        self, _card: ModelCard, _labels: tuple[str, ...], _calibrating: Calibrating | None
    ) -> tuple[_AgainstStart, Sequence[Path]]:
        """Return the gate of the conversion: artifacts, too, are judged against the model before all passes."""
        return _AgainstStart(self.gate, self.before), [
            path for path in paths_of(self.dataset) if isinstance(path, Path)
        ]


@dataclass(slots=True)
class SensitivityAnalysis:
    """Measures what each group of channels bears, for the passes that ask."""

    settings: Sensitivity | None
    judging: Judging
    say: Callable[[str], None]
    rows: list[GroupSensitivity] = field(default_factory=list)

    def measured(self, found: ChannelGroups, kept: KeptScores) -> Sequence[GroupSensitivity]:
        if self.settings is None:
            return ()
        self.rows = sensitivities(found, self.judging.score, self.settings.ratios, self.say, kept)
        return self.rows


class _AgainstStart:
    """A gate that compares artifacts with another model than the one they were made from."""

    def __init__(self, gate: AccuracyGate, start: Predict) -> None:
        self.warnings = gate.warnings
        self._gate, self._start = gate, start

    def judge(self, name: str, _reference: Predict, artifact: Predict) -> Verdict:
        return self._gate.judge(name, self._start, artifact)


def part_of(dataset: Dataset, count: int) -> Dataset:
    """Return about so many of a dataset's samples, evenly taken from all of it."""
    step = max(1, -(-len(dataset) // count))
    return replace(dataset, samples=dataset.samples[::step])
