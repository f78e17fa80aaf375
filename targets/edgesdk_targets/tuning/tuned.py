"""What tuning found, as it is kept and shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from edgesdk_targets.tuning.ranking import ranked
from edgesdk_targets.tuning.setting import AT_WORK, Hint, Measured, Setting

BUDGET_S = 8.0
_DISTURBED = 1.5


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tuning found.

    Attributes:
        measured: settings, the best first; the first is the one to take. Empty where nothing could be measured.
        why: one sentence on the choice, or on why there is none.
        notes: such as that INT8 is slower here.
        refused: variant → why it is not taken whatever its speed.
        skipped: settings for which there was no time.
        budget_s: the seconds that measuring might take.
        seconds: that it took.
        kept: the answer is that of an earlier run.
    """

    hint: Hint
    measured: tuple[Measured, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    skipped: tuple[Setting, ...] = ()
    budget_s: float = BUDGET_S
    seconds: float = 0.0
    kept: bool = False

    @property
    def best(self) -> Measured | None:
        return self.measured[0] if self.measured else None

    @property
    def disturbed(self) -> bool:
        """Whether something else was running: others kept a core busy, or the best setting's turns differ by much."""
        if self.measured and self.measured[0].others >= AT_WORK:
            return True
        costs = [one.p50_ms for one in self.measured[0].rounds] if self.measured else [1.0]
        return max(costs) > min(costs) * _DISTURBED

    def serves(self, budget_s: float) -> bool:
        """Whether this answers a request with so much time: with more of it, what was left out or disturbed is found better."""
        return budget_s <= self.budget_s or not (self.skipped or self.disturbed)

    def in_order(self) -> Tuning:
        """Return this with the settings ranked and the choice explained; refused variants' settings come last."""
        able = [one for one in self.measured if one.setting.variant not in self.refused]
        if not able:
            return replace(self, measured=(), why="no variant could be measured here")
        ranking = ranked(able, self.hint, left_out=len(self.skipped))
        return replace(self, measured=ranking.order, why=ranking.why, notes=(*ranking.notes, *self._left_out()))

    def _left_out(self) -> tuple[str, ...]:
        """Say how many settings there was no time for, and about how much time all of them want."""
        if not self.skipped:
            return ()
        number, timed = len(self.skipped), len(self.measured)
        wanted = max(BUDGET_S, 2 * self.budget_s, math.ceil(self.budget_s * (timed + number) / timed))
        return (f"{number} setting{'s were' if number > 1 else ' was'} not measured; give --seconds {wanted:g}",)

    def to_json(self) -> dict[str, Any]:
        return {
            "hint": self.hint.value,
            "chosen": self.best.setting.to_json() if self.best else None,
            "why": self.why,
            "notes": list(self.notes),
            "settings": [one.to_json() for one in self.measured],
            "refused": dict(self.refused),
            "skipped": [one.to_json() for one in self.skipped],
            "budget_s": self.budget_s,
            "seconds": round(self.seconds, 2),
            "disturbed": self.disturbed,
            "kept": self.kept,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Tuning:
        """Read what `to_json` gave; the order is made anew.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        refused = {str(name): str(reason) for name, reason in data["refused"].items()}
        found = cls(
            hint=Hint(data["hint"]),
            measured=tuple(Measured.from_json(one) for one in data["settings"]),
            refused=refused,
            skipped=tuple(Setting.from_json(one) for one in data["skipped"]),
            budget_s=float(data["budget_s"]),
            seconds=float(data["seconds"]),
        )
        return found.in_order()
