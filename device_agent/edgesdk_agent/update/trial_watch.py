"""What a run on trial shows, and what the run before showed, read off the running agent at most once a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.meter import FrameStats
from edgesdk_agent.update.label_absence import absent_label
from edgesdk_agent.update.memory_growth import growth
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.result_profile import Spread, is_known, unlike
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
        in_running: what is on trial was taken over by a program that ran before.
    """

    def __init__(
        self,
        agent: RunningAgent,
        limits: GateLimits,
        clock: Callable[[], float] = time.monotonic,
        *,
        in_running: bool = False,
    ) -> None:
        self._agent, self._limits, self._clock = agent, limits, clock
        self._window_s = min(_WINDOW_S, limits.soak_s / 2)
        self._stretch_s = min(_WINDOW_S, limits.soak_s / _STRETCHES)
        self._began = self._read_at = self._cut_at = clock()
        self._ages: dict[str, float] = {}
        self._starved: frozenset[str] = frozenset()
        self._low: int | None = None
        self._lows: list[int] = []
        self._doubted_at: float | None = None
        self._settled_from: float | None = None
        # Of what was taken over in a running program only what came since counts.
        self._before = {name: one.processed for name, one in agent.totals().cameras.items()} if in_running else {}

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

    def verdict(self, bundle: Release, before: Baseline) -> Verdict:
        """Judge the run so far.

        Args:
            bundle: of the slot on trial.
            before: the run before. A camera that brought nothing then need not bring anything now.
        """
        if (running := self._agent.digest()) != bundle.id:
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
        differs, absent = self._compared(before)
        return Figures(
            up_s=now - self._began,
            frames={name: cameras[name].processed - self._before.get(name, 0) for name in asked if name not in paused},
            age_p95_ms={name: age for name, age in self._ages.items() if name in asked},
            before_p95_ms=before.p95_ms,
            starved=self._starved,
            unlike=differs,
            absent=absent,
            uncompared=self._uncompared(before, asked),
            growth="" if self._limits.growth_mb is None else growth(self._lows, self._limits.growth_mb),
            broker_reached=None if broker is None else broker(),
        )

    def is_settled(self) -> bool:
        """Say whether what `baseline` returns is of a time without a proof beside it, and enough to compare results with."""
        now = self._clock()
        if self._settled_from is None:
            self._settled_from = now
            self._read_at = now
            # What it gives next is of this time alone.
            self._agent.recent()
        if now - self._settled_from >= self._limits.soak_s + self._window_s:
            return True  # a camera that brings too little, which the trial says
        known = self._agent.results.profiles()
        missing = [one for one in self._ages if self._is_compared() and not is_known(known.get(one, {}))]
        return self._read_at > self._settled_from and not missing

    def unsettle(self) -> None:
        """Let the time that is looked at before a trial begin anew with the next one."""
        self._settled_from = None

    def _is_compared(self) -> bool:
        return self._limits.unlike is not None

    def _uncompared(self, before: Baseline, asked: AbstractSet[str]) -> str:
        if not self._is_compared():
            return ""
        unknown = sorted(one for one in asked & before.p95_ms.keys() if not is_known(before.results.get(one, {})))
        return f"what camera {unknown[0]} saw before is not known" if unknown else ""

    def _compared(self, before: Baseline) -> tuple[dict[str, str], dict[str, str]]:
        """Return in what the results of each camera differ from those before, and which label may have gone."""
        differs, absent = {}, {}
        profiles = self._agent.results.profiles() if self._limits.unlike is not None else {}
        for camera in profiles.keys() & before.results.keys():
            then, now = before.results[camera], profiles[camera]
            if said := unlike(then, now, self._limits.unlike or 0.0):
                differs[camera] = said
            elif said := absent_label(then, now):
                absent[camera] = said
        return differs, absent


def _is_starved(recent: FrameStats) -> bool:
    """Say whether pictures of a camera came, and wait for a model that gives nothing."""
    waiting = recent.in_flight > 0 or any(recent.dropped.get(cause, 0) for cause in _WAITING)
    return not recent.processed and waiting
