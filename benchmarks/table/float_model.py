"""The float model's answers to the pictures of an exam: computed once for each model, and kept in a file.

They are what artifacts of all families are judged against, while they are built and when they are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgesdk.emulate.on_board import answer_of, result_of
from edgesdk.evaluate.gate import AgreementGate
from edgesdk_converters.proving.gate import Predict, Verdict
from edgesdk_converters.proving.predictor import Predictor
from edgesdk_converters.reference import open_reference
from edgesdk_converters.source import Source
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array


def ask_float(source: Source, pictures: Sequence[Array]) -> list[dict[str, Any]]:
    """Return the float model's answers to pictures (H, W, 3) uint8 BGR, ready for JSON and exact."""
    reference = open_reference(source)
    predict = Predictor(
        reference.run,
        reference.inputs,
        reference.outputs,
        source.card,
        source.card_file.labels,
        postprocess=judged_with(source.card.task),
    )
    return [answer_of(predict(picture)) for picture in pictures]


class FloatAnswers:
    """The answers, in place of the model: asked about one of the same arrays, it gives what the model said.

    Args:
        kept: what `ask_float` returned.
    """

    def __init__(
        self, pictures: Sequence[Array], kept: Sequence[dict[str, Any]], task: str, labels: tuple[str, ...]
    ) -> None:
        self.results: list[Result] = [result_of(task, answer, labels) for answer in kept]
        self._pictures = pictures  # an array's identity holds while it lives
        self._places = {id(picture): place for place, picture in enumerate(pictures)}
        if len(self.results) != len(pictures):
            raise ValueError(f"{len(self.results)} answers to {len(pictures)} pictures")

    def __call__(self, picture: Array) -> Result:
        return self.results[self._places[id(picture)]]


class RememberingGate:
    """The gate on agreement, on the whole exam, that does not ask the float model again for each family.

    Args:
        may_differ: as a fraction; None for what is usual for the task.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, pictures: Sequence[Array], answers: FloatAnswers, may_differ: float | None = None) -> None:
        self._gate = AgreementGate(pictures, max_drop=may_differ)
        self._answers = answers

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:  # noqa: ARG002  (the gate's face)
        """Compare an artifact with the answers that the reference gave."""
        return self._gate.judge(name, self._answers, artifact)
