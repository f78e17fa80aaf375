"""Walk the ladder: ask where to stand, do it, and report every step. Asked by the health monitor at each reading."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edgesdk_agent.governor.decide import GovernorTimes, Standing, Step, decide
from edgesdk_agent.governor.ladder import USUAL_LADDER, Plan, Rung, plan_at
from edgesdk_agent.governor.strain import StrainMarks, strain_of
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.monitor import Tell

log = logging.getLogger(__name__)


class Actuator(Protocol):
    """Does what a plan says."""

    @property
    def busy(self) -> bool:
        """Whether it still does what it was told last."""
        ...

    def apply(self, plan: Plan) -> None:
        """Do it, soon; it need not be done on return."""
        ...


@dataclass(frozen=True, slots=True)
class GovernorSettings:
    """What it holds, and how.

    Attributes:
        age_budget_ms: to be kept by 95 of 100 results.
        ladder: what is given up, first to last.
    """

    age_budget_ms: float = 1000.0
    ladder: Sequence[Rung] = USUAL_LADDER
    marks: StrainMarks = field(default_factory=StrainMarks)
    times: GovernorTimes = field(default_factory=GovernorTimes)


class Governor:
    """Hold the age budget and the device's limits.

    Args:
        settings: the ladder and the marks.
        actuator: does it.
        tell: reports each step as an event.
    """

    def __init__(self, settings: GovernorSettings, actuator: Actuator, tell: Tell) -> None:
        self._settings = settings
        self._actuator = actuator
        self._tell = tell
        self._ladder: Sequence[Rung] = settings.ladder
        self._next_ladder: Sequence[Rung] | None = None
        self._standing = Standing()
        self._steps = {"down": 0, "up": 0}

    @property
    def place(self) -> int:
        """How many rungs are in force."""
        return self._standing.place

    @property
    def in_force(self) -> list[str]:
        """The names of the rungs that are in force."""
        return [rung.name for rung in self._ladder[: self.place]]

    @property
    def ladder(self) -> Sequence[Rung]:
        """What is given up, first to last."""
        return self._ladder

    def change_ladder(self, ladder: Sequence[Rung]) -> None:
        """Stand on another ladder from the next look on, as another model runs; may be called by any thread."""
        self._next_ladder = ladder

    def counts(self) -> dict[str, int]:
        """Return the steps since the start."""
        return dict(self._steps)

    def look(self, facts: Facts) -> Step | None:
        """Judge the facts, and take at most one step."""
        if self._actuator.busy:
            # What was done last has no effect yet that could be judged.
            return None
        self._take_ladder()
        settings = self._settings
        strain = strain_of(facts, settings.age_budget_ms, settings.marks)
        self._standing, step = decide(self._standing, strain, facts.at, rungs=len(self._ladder), times=settings.times)
        if step is not None:
            self._take(step)
        return step

    def _take_ladder(self) -> None:
        ladder, self._next_ladder = self._next_ladder, None
        if ladder is None:
            return
        # Whatever is given up now and is on the new ladder too stays given up, and what stands above it.
        held = set(self.in_force)
        place = max((at for at, rung in enumerate(ladder, 1) if rung.name in held), default=0)
        self._ladder, self._standing = ladder, replace(self._standing, place=place)
        self._actuator.apply(plan_at(ladder, place))

    def _take(self, step: Step) -> None:
        down = step.to > step.before
        rung = self._ladder[step.to - 1 if down else step.to]
        self._steps["down" if down else "up"] += 1
        what = f"Gives up: now {rung.name}" if down else f"Takes back: no longer {rung.name}"
        message = f"{what} (rung {step.to} of {len(self._ladder)}). {step.why[:1].upper()}{step.why[1:]}."
        log.warning("governor: %s", message)
        self._tell("governor_down" if down else "governor_up", "warning" if down else "info", message)
        self._actuator.apply(plan_at(self._ladder, step.to))
