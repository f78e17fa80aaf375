"""What a part found: a question with its answer, and whether the control failed it, as it must."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One question.

    Attributes:
        name: what was done.
        holds: whether the goal was met.
        goal, found: in words with figures.
        control: what was switched off, and what then happened; its condition must fail.
        control_fails: whether it did; None where this finding has no control of its own.
        figures: the raw numbers.
    """

    name: str
    holds: bool
    goal: str
    found: str
    control: str = ""
    control_fails: bool | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> str:
        verdict = "yes" if self.holds else "NO"
        control = "" if self.control_fails is None else "  control fails: " + ("yes" if self.control_fails else "NO")
        return f"{verdict:3} {self.name}: {self.found} (goal: {self.goal}){control}"
