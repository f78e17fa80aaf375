"""The order of measuring: a cheap look at each variant, then by turns among the best, fewer each round.

Rule: what disturbs a measurement makes it only longer, so a setting is given up by its best turn, and only well behind the
best of the others; what remains is timed by turns, so that a disturbance hits all alike. The clock is an argument and
the bench a protocol: nothing is timed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.tuning.setting import Hint, Measured, Setting, Slice

# A variant this much behind at its usual setting is given up with all its settings.
_VARIANT_BEHIND = 1.6
# How far behind the best a setting may be after one turn, two, three, and later: one turn tells little on a busy machine.
_BEHIND = (1.8, 1.4, 1.2, 1.12)
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 7
# The part of the budget after which no setting more is opened.
_OPENING = 0.6


class Bench(Protocol):
    """Opens settings and times them."""

    def open(self, setting: Setting) -> Measured:
        """Load, warm up, and take the first short turn.

        Raises:
            SessionFailed, MissingExtra: this variant does not run here.
        """
        ...

    def turn(self, setting: Setting) -> Slice:
        """Time a setting that is open.

        Raises:
            SessionFailed: its runtime failed.
        """
        ...

    def close(self, setting: Setting) -> None:
        """Give a setting's memory back."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """How long measuring may take.

    Attributes:
        seconds: for all; the first look at one variant is always taken.
        clock: seconds, such as `time.monotonic`.
    """

    seconds: float
    clock: Callable[[], float]


@dataclass(slots=True)
class Looked:
    """What was found.

    Attributes:
        measured: settings that were timed.
        refused: variant → why it does not run here.
        skipped: settings for which there was no time.
    """

    measured: list[Measured] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: list[Setting] = field(default_factory=list)


def measure(groups: Sequence[Sequence[Setting]], bench: Bench, hint: Hint, budget: Budget) -> Looked:
    """Measure settings within the budget.

    Args:
        groups: of each variant its settings, the usual best one first.
    """
    return _Halving(bench, hint, budget).run(groups)


class _Halving:
    def __init__(self, bench: Bench, hint: Hint, budget: Budget) -> None:
        self._bench = bench
        self._hint = hint
        self._budget = budget
        self._start = budget.clock()
        self._found = Looked()
        self._alive: list[Measured] = []

    def run(self, groups: Sequence[Sequence[Setting]]) -> Looked:
        for group in groups:
            self._look(group[0])
        best = min((one.least_cost(self._hint) for one in self._alive), default=0.0)
        looked = {one.setting.variant: one.least_cost(self._hint) for one in self._alive}
        near = [group for group in groups if looked.get(group[0].variant, math.inf) <= best * _VARIANT_BEHIND]
        # Where time is short, it is the best variants that are looked at closely.
        for group in sorted(near, key=lambda group: looked[group[0].variant]):
            for setting in group[1:]:
                self._look(setting)
        self._rounds()
        for one in list(self._alive):
            self._end(one)
        return self._found

    def _spent(self) -> float:
        """The part of the budget that is gone."""
        return (self._budget.clock() - self._start) / self._budget.seconds

    def _look(self, setting: Setting) -> None:
        if setting.variant in self._found.refused:
            return
        if self._alive and self._spent() > _OPENING:
            self._found.skipped.append(setting)
            return
        try:
            self._alive.append(self._bench.open(setting))
        except (SessionFailed, MissingExtra) as error:
            self._found.refused[setting.variant] = error.message

    def _rounds(self) -> None:
        for number in range(_MOST_ROUNDS):
            self._give_up(_BEHIND[min(number, len(_BEHIND) - 1)])
            if len(self._alive) < 2 and number >= 1:
                return
            if self._spent() >= 1 and number >= 1:
                return
            self._round(number)

    def _round(self, number: int) -> None:
        """Let each take a turn; another begins in each round."""
        place = number % len(self._alive) if self._alive else 0
        for one in [*self._alive[place:], *self._alive[:place]]:
            try:
                taken = self._bench.turn(one.setting)
            except SessionFailed as error:
                self._found.refused[one.setting.variant] = error.message
                self._end(one)
                continue
            self._alive[self._alive.index(one)] = one.with_round(taken)
            if self._spent() >= 1 and number >= _FEWEST_ROUNDS:
                return

    def _give_up(self, behind: float) -> None:
        best = min((one.least_cost(self._hint) for one in self._alive), default=0.0)
        for one in list(self._alive):
            if one.least_cost(self._hint) > best * behind:
                self._end(one)

    def _end(self, one: Measured) -> None:
        self._alive.remove(one)
        self._bench.close(one.setting)
        self._found.measured.append(one)
