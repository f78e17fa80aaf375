"""What a probe found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Outcome(str, Enum):
    """How a trial of a variant ended."""

    FINE = "fine"
    ILLEGAL_INSTRUCTION = "illegal instruction"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out of memory"
    HANGS = "hangs"
    NOT_FINITE = "not finite"
    WRONG_OUTPUTS = "wrong outputs"
    MISSING = "missing"
    REFUSED = "refused"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a variant did in a process of its own.

    Attributes:
        reason: why it cannot be used, one sentence; empty where it can.
        versions: of Python, numpy and the runtime's package, as far as the child came.
        seconds: phase (`import`, `load`, `run`) → how long it took.
        kept: the answer is that of an earlier start.
    """

    outcome: Outcome
    reason: str = ""
    hint: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    kept: bool = False

    @property
    def fine(self) -> bool:
        return self.outcome is Outcome.FINE

    def to_json(self) -> dict[str, object]:
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "hint": self.hint,
            "versions": dict(self.versions),
            "seconds": dict(self.seconds),
        }

    @classmethod
    def from_json(cls, data: object) -> ProbeResult:
        """Read what `to_json` gave.

        Raises:
            ValueError, TypeError: it is something else.
        """
        if not isinstance(data, dict):
            raise TypeError("no table")
        outcome, reason, hint = Outcome(data.get("outcome")), data.get("reason"), data.get("hint")
        versions, seconds = data.get("versions"), data.get("seconds")
        if not (isinstance(reason, str) and isinstance(hint, str)):
            raise TypeError("reason and hint are no text")
        if not (isinstance(versions, dict) and all(isinstance(text, str) for text in versions.values())):
            raise TypeError("versions is no table of text")
        if not (isinstance(seconds, dict) and all(isinstance(n, (int, float)) for n in seconds.values())):
            raise TypeError("seconds is no table of numbers")
        return cls(outcome, reason, hint, versions, seconds)
