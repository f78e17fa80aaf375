"""What a part found: rows of medians over rounds, and goals beside what was measured, met or not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.turn import Turn

Figure = Callable[[Turn], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that is to be shown.

    Attributes:
        text: what is measured, in words.
        bound: such as `>= 0.9`; `== 0` too.
        values: one for each round; the median is judged.
        why_not: why there is no value, where there is none.
    """

    text: str
    bound: str
    values: Sequence[float]
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        values = [value for value in self.values if not math.isnan(value)]
        if not values:
            return {"goal": self.text, "bound": self.bound, "met": None, "why_not": self.why_not or "not measured"}
        median = statistics.median(values)
        return {
            "goal": self.text,
            "bound": self.bound,
            "median": _rounded(median),
            "least": _rounded(min(values)),
            "most": _rounded(max(values)),
            "rounds": len(values),
            "met": _holds(median, self.bound),
        }


@dataclass(slots=True)
class Findings:
    """One part's results.

    Attributes:
        title: what was asked.
        how: how it was measured, for the page.
        rows: by name, columns by name.
        turns: every single turn, for the JSON.
        guarded: other load would change what was measured, so that turns were to be undisturbed.
    """

    title: str
    how: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    guarded: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "how": self.how,
            "rows": [{"name": name, **columns} for name, columns in self.rows.items()],
            "goals": [goal.to_json() for goal in self.goals],
            "turns": self.turns,
        }


@dataclass(slots=True)
class Rounds:
    """All turns of one part by contestant, round by round; a ratio compares turns of the same round only."""

    by_name: dict[str, list[Turn]] = field(default_factory=dict)

    def add(self, turn: Turn) -> None:
        self.by_name.setdefault(turn.name, []).append(turn)

    def values(self, name: str, figure: Figure) -> list[float]:
        """Return a figure of a contestant, one for each round; not a number where a turn failed."""
        return [float("nan") if turn.failure else figure(turn) for turn in self.by_name.get(name, ())]

    def ratios(self, name: str, other: str, figure: Figure, of_other: Figure | None = None) -> list[float]:
        """Return a figure of one contestant over that of another, round by round."""
        pairs = zip(self.values(name, figure), self.values(other, of_other or figure), strict=False)
        return [a / b if b else float("nan") for a, b in pairs]

    def best(self, names: Sequence[str], figure: Figure) -> str | None:
        """Return the contestant with the largest median, of those that ran."""
        medians = {name: median(self.values(name, figure)) for name in names}
        known = {name: value for name, value in medians.items() if not math.isnan(value)}
        return max(known, key=known.__getitem__) if known else None

    def failure(self, name: str) -> str:
        """Return why a contestant has no figures, or nothing."""
        return next((turn.failure for turn in self.by_name.get(name, ()) if turn.failure), "")

    def row(self, name: str, figures: Mapping[str, Figure]) -> dict[str, Any]:
        """Return a row of medians, or the reason why there is none."""
        turns = [turn for turn in self.by_name[name] if not turn.failure]
        if not turns:
            return {"why_not": self.failure(name)}
        row: dict[str, Any] = {key: _rounded(median([figure(t) for t in turns])) for key, figure in figures.items()}
        return {**row, "rounds": len(turns), "disturbed": sum(t.disturbed for t in turns)}


def turn_json(turn: Turn, number: int, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return one turn for the JSON: its figures, how quiet the machine was, and of ours on how many streams and threads it ran."""
    if turn.failure:
        return {"round": number, "name": turn.name, "why_not": turn.failure}
    own = {key: _rounded(figure(turn)) for key, figure in figures.items()}
    settings = turn.notes.get("summary", {}).get("settings")
    ran = {"settings": settings} if settings else {}
    return {"round": number, "name": turn.name, **own, **ran, "others_share": round(turn.others_share, 3)}


def median(values: Sequence[float]) -> float:
    """Return the median of what is a number."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else float("nan")


def _holds(value: float, bound: str) -> bool:
    sign, _, limit = bound.partition(" ")
    return bool({"<=": value <= float(limit), ">=": value >= float(limit), "==": value == float(limit)}[sign])


def _rounded(value: float) -> float | None:
    if math.isnan(value):
        return None
    return round(float(value), 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3)
