"""Who decides whether a converted model is good enough, beside parity.

A gate is handed the float model and the artifact, both as functions from a picture to a decoded result, and answers pass,
fail, or that more samples are needed. It lives elsewhere (`edgesdk.evaluate`): converting knows only this face of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array

Outcome = Literal["pass", "fail", "need more samples"]
# Answers for one picture, (H, W, 3) uint8 BGR.
Predict = Callable[[Array], Result]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found.

    Attributes:
        reason: one sentence with the figures, for a person.
        report: the figures, ready for JSON; goes into the bundle.
        needed: how many samples would settle it, where more are needed.
        excess: by how much the measured drop is beyond the limit, whatever its interval; negative within it.
    """

    outcome: Outcome
    reason: str
    report: Mapping[str, object] = field(default_factory=dict)
    needed: int | None = None
    excess: float = 0.0

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"


class Gate(Protocol):
    """Judges artifacts against the float model.

    Attributes:
        warnings: what can be said of the samples before any model is asked.
    """

    warnings: tuple[str, ...]

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        """Compare two models on the gate's own samples.

        Args:
            name: of the artifact, for reports.
        """
        ...
