"""The trial of a change while it runs: until when it is watched, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesdk_agent.steering.health_mark import Mark, worse


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known by now.

    Attributes:
        worse: what does worse than before, in words; empty where nothing does.
        over: the trial is over.
    """

    worse: str
    over: bool


class TrialWatch:
    """Watches one trial at a time.

    Args:
        mark: how the device does now.
        clock: returns monotonic seconds.
    """

    def __init__(self, mark: Callable[[], Mark], clock: Callable[[], float]) -> None:
        self._mark = mark
        self._clock = clock
        self._running: tuple[float, Mark] | None = None

    def begin(self, before: Mark, trial_s: float) -> None:
        """Watch from now on; a change that is made during a trial is compared with what was before the first."""
        self._running = (self._clock() + trial_s, before if self._running is None else self._running[1])

    def look(self) -> Verdict | None:
        """Return what is known of the trial, which ends with a verdict that is final; None where nothing is on trial."""
        if self._running is None:
            return None
        until, before = self._running
        over = self._clock() >= until
        found = Verdict(worse(before, self._mark(), over=over), over)
        if found.worse or over:
            self._running = None
        return found
