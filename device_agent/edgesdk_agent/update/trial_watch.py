"""What a run on trial shows, read off the running agent at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgesdk_agent.meter import FrameStats
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.trial_gate import Figures, GateLimits, Verdict, judged

# Ages are those of so long a time, unless the trial itself is shorter.
_WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """What a trial looks at.

    Attributes:
        totals: of the pipeline since its start; recent: since it was last asked.
        paused: the cameras that are not to bring anything.
        digest: of the model that runs.
        broker_reached: None works without a broker.
    """

    totals: Callable[[], FrameStats]
    recent: Callable[[], FrameStats]
    paused: Callable[[], frozenset[str]]
    digest: Callable[[], str]
    broker_reached: Callable[[], bool] | None


class TrialWatch:
    """Reads the figures and judges them; used by one thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, agent: RunningAgent, limits: GateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._agent, self._limits, self._clock = agent, limits, clock
        self._window_s = min(_WINDOW_S, limits.soak_s / 2)
        self._began = self._read_at = clock()
        self._ages: dict[str, float] = {}

    def look(self) -> dict[str, float]:
        """Return how old results are at 95 of 100, by camera in ms; cameras that bring none are absent."""
        now = self._clock()
        if now - self._read_at >= self._window_s:
            self._read_at = now
            recent = self._agent.recent().cameras
            self._ages = {name: one.age.p95 * 1e3 for name, one in recent.items() if one.age.p95 is not None}
        return dict(self._ages)

    def verdict(self, release: Release, before_p95_ms: Mapping[str, float]) -> Verdict:
        """Judge the run so far.

        Args:
            before_p95_ms: how old results were before. A camera that brought none then need not bring any now.
        """
        if (running := self._agent.digest()) != release.id:
            return Verdict(void=f"{running[:19]}… runs, and not what is on trial: a bundle is set from afar")
        ages = self.look()
        cameras, paused = self._agent.totals().cameras, self._agent.paused()
        asked = before_p95_ms.keys() & cameras.keys() or cameras.keys()
        broker = self._agent.broker_reached
        figures = Figures(
            up_s=self._clock() - self._began,
            frames={name: cameras[name].processed for name in asked if name not in paused},
            age_p95_ms={name: age for name, age in ages.items() if name in asked},
            before_p95_ms=before_p95_ms,
            broker_reached=None if broker is None else broker(),
        )
        return judged(figures, self._limits)
