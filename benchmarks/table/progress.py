"""Lines that say what is being done and about how long the rest will take."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from table.kept import Kept

# Where a part was never made: about what it takes on two cores, in seconds.
_USUAL = {"build": 150.0, "judge": 20.0, "time": 35.0, "emulate": 180.0, "by_hand": 60.0, "parse": 15.0}


@dataclass(frozen=True, slots=True)
class Step:
    """One part that has to be made."""

    phase: str
    name: str


class Progress:
    """Counts the steps of a run.

    Args:
        steps: all that has to be made, in order.
    """

    def __init__(self, steps: list[Step], kept: Kept) -> None:
        self._left = list(steps)
        self._all = len(steps)
        self._kept = kept
        self._begun = time.monotonic()
        self._step: Step | None = None

    def begin(self, step: Step) -> None:
        """Say that a step begins, and about how long it and all after it will take."""
        about = sum(self._expected(one) for one in self._left)
        place = self._all - len(self._left) + 1
        if step in self._left:
            self._left.remove(step)
        self._step, self._begun = step, time.monotonic()
        minutes = f"{about / 60:.0f} min" if about >= 90 else f"{about:.0f} s"
        self._print(f"[{place}/{self._all}] {step.phase} {step.name}; about {minutes} left")

    def say(self, line: str) -> None:
        """Say something about the current step."""
        if self._step is not None:
            self._print(f"    {time.monotonic() - self._begun:5.0f} s  {line}")

    @property
    def seconds(self) -> float:
        """How long the current step has taken."""
        return time.monotonic() - self._begun

    def _expected(self, step: Step) -> float:
        part = self._kept.find(step.phase, step.name)
        return part.seconds if part is not None else _USUAL[step.phase]

    @staticmethod
    def _print(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
