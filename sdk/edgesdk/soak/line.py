"""One line of a soak's verdict, and what is allowed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["pass", "fail", "not measured"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is allowed; of memory see `growth.memory`.

    Attributes:
        age_ms: for 95 of 100 results, in the median of the seconds in which nothing was broken.
        recovery_s: after an injection's end, until every camera has results.
        fds, threads: more in the last quarter of a life (the median) than ever in its earlier half.
    """

    age_ms: float = 1000.0
    recovery_s: float = 60.0
    fds: int = 0
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the verdict."""

    check: str
    outcome: Outcome
    figure: str
    bound: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def outcome(good: bool) -> Outcome:
    """Return what a check that was measured says."""
    return "pass" if good else "fail"
