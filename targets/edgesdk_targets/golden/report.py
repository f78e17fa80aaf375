"""What a check against the golden set found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["decode image", "preprocess", "inference", "postprocess", "end to end"]
STAGES: tuple[Stage, ...] = ("decode image", "preprocess", "inference", "postprocess", "end to end")


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did with the golden inputs.

    Attributes:
        reached: False where an earlier stage left nothing to check.
        failed: numbers of the pictures on which it diverged.
        worst: the figure nearest to its limit, in words.
    """

    stage: Stage
    reached: bool = True
    failed: tuple[int, ...] = ()
    worst: str = ""

    @property
    def passed(self) -> bool:
        return self.reached and not self.failed

    def to_json(self) -> dict[str, object]:
        return {
            "stage": self.stage,
            "verdict": "pass" if self.passed else "fail" if self.reached else "not reached",
            "failed": list(self.failed),
            "worst": self.worst,
        }


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """Whether a variant gives the golden answers here.

    Attributes:
        runtime: what ran it.
        answered_by: whose answers they are, `artifact` or `source`.
    """

    variant: str
    runtime: str
    precision: str
    pictures: int
    answered_by: str
    stages: tuple[StageReport, ...]

    @property
    def passed(self) -> bool:
        return all(stage.passed for stage in self.stages)

    @property
    def first_divergence(self) -> StageReport | None:
        """The first stage that gave something else than it should."""
        return next((stage for stage in self.stages if stage.failed), None)

    def in_words(self) -> str:
        """Return one line for a person."""
        first = self.first_divergence
        if first is None:
            return f"{self.pictures} pictures as when it was built"
        return f"{first.stage} diverges on {len(first.failed)} of {self.pictures} pictures: {first.worst}"

    def to_json(self) -> dict[str, object]:
        first = self.first_divergence
        return {
            "variant": self.variant,
            "runtime": self.runtime,
            "precision": self.precision,
            "pictures": self.pictures,
            "answered_by": self.answered_by,
            "verdict": "pass" if self.passed else "fail",
            "diverged": first.stage if first else None,
            "why": first.worst if first else "",
            "stages": [stage.to_json() for stage in self.stages],
        }
