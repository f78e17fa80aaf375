"""What a run on trial shows, and what the run before showed, read off the running agent at most once a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.meter import FrameStats
from edgesdk_agent.update.memory_growth import growth
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.result_profile import Spread, unlike
from edgesdk_agent.update.result_tally import ResultTally
from edgesdk_agent.update.trial_gate import Figures, GateLimits, Verdict, after_doubts, judged

# Ages are those of so long a time, unless the trial itself is shorter.
_WINDOW_S = 10.0
# Results and memory are looked at in so many stretches of a soak.
_STRETCHES = 6
_STATM, _PAGE_BYTES = Path("/proc/self/statm"), os.sysconf("SC_PAGE_SIZE")
_WAITING = ("replaced_before_preprocess", "replaced_before_inference")


def memory_bytes() -> int:
    """Return the memory of this process that is in use."""
    return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """What a trial looks at.

    Attributes:
        totals: of the pipeline since its start; recent: since it was last asked.
        paused: the cameras that are not to bring anything.
        digest: of the model that runs.
        broker_reached: None works without a broker.
        results: gathers what the results say.
        memory: of this process, bytes.
    """

    totals: Callable[[], FrameStats]
    recent: Callable[[], FrameStats]
    paused: Callable[[], frozenset[str]]
    digest: Callable[[], str]
    broker_reached: Callable[[], bool] | None
    results: ResultTally
    memory: Callable[[], int] = memory_bytes


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a run showed, which the next one is compared with; by camera.

    Attributes:
        p95_ms: how old its results were; a camera that brought none is absent. results: what they said.
    """

    p95_ms: Mapping[str, float]
    results: Mapping[str, Mapping[str, Spread]]


class TrialWatch:
    """Reads the figures and judges them; used by one thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, agent: RunningAgent, limits: GateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._agent, self._limits, self._clock = agent, limits, clock
        self._window_s = min(_WINDOW_S, limits.soak_s / 2)
        self._stretch_s = min(_WINDOW_S, limits.soak_s / _STRETCHES)
        self._began = self._read_at = self._cut_at = clock()
        self._ages: dict[str, float] = {}
        self._starved: frozenset[str] = frozenset()
        self._low: int | None = None
        self._lows: list[int] = []
        self._doubted_at: float | None = None

    def look(self) -> None:
        """Take the figures of now; called about once a second, on trial and before."""
        now, memory = self._clock(), self._agent.memory()
        self._low = memory if self._low is None else min(self._low, memory)
        if now - self._read_at >= self._window_s:
            self._read_at = now
            recent = self._agent.recent().cameras
            self._ages = {name: one.age.p95 * 1e3 for name, one in recent.items() if one.age.p95 is not None}
            self._starved = frozenset(name for name, one in recent.items() if _is_starved(one))
        if now - self._cut_at >= self._stretch_s:
            self._cut_at = now
            self._agent.results.cut()
            # A day's worth of them would say nothing of a trial, and only the newest are kept.
            self._lows = [*self._lows, self._low][-4 * _STRETCHES :]
            self._low = None

    def baseline(self) -> Baseline:
        """Return what the run showed of late."""
        return Baseline(dict(self._ages), self._agent.results.profiles())

    def verdict(self, release: Release, before: Baseline) -> Verdict:
        """Judge the run so far.

        Args:
            before: the run before. A camera that brought nothing then need not bring anything now.
        """
        if (running := self._agent.digest()) != release.id:
            return Verdict(void=f"{running[:19]}… runs, and not what is on trial: a bundle is set from afar")
        self.look()
        now = self._clock()
        verdict = judged(self._figures(before, now), self._limits)
        if not verdict.doubt:
            self._doubted_at = None
        elif self._doubted_at is None:
            self._doubted_at = now
        doubted_s = 0.0 if self._doubted_at is None else now - self._doubted_at
        return after_doubts(verdict, doubted_s, now - self._began, self._limits)

    def _figures(self, before: Baseline, now: float) -> Figures:
        cameras, paused = self._agent.totals().cameras, self._agent.paused()
        asked = before.p95_ms.keys() & cameras.keys() or cameras.keys()
        broker = self._agent.broker_reached
        return Figures(
            up_s=now - self._began,
            frames={name: cameras[name].processed for name in asked if name not in paused},
            age_p95_ms={name: age for name, age in self._ages.items() if name in asked},
            before_p95_ms=before.p95_ms,
            starved=self._starved,
            unlike=self._unlike(before),
            growth="" if self._limits.growth_mb is None else growth(self._lows, self._limits.growth_mb),
            broker_reached=None if broker is None else broker(),
        )

    def _unlike(self, before: Baseline) -> dict[str, str]:
        """Return in what the results of each camera differ from those before."""
        if self._limits.unlike is None:
            return {}
        found = {
            camera: unlike(before.results[camera], profile, self._limits.unlike)
            for camera, profile in self._agent.results.profiles().items()
            if camera in before.results
        }
        return {camera: said for camera, said in found.items() if said}


def _is_starved(recent: FrameStats) -> bool:
    """Say whether pictures of a camera came, and wait for a model that gives nothing."""
    waiting = recent.in_flight > 0 or any(recent.dropped.get(cause, 0) for cause in _WAITING)
    return not recent.processed and waiting
