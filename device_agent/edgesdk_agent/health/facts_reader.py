"""Gather the facts: from the pipeline's counts, the device's vitals, the link and the outbox; one reading after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.health.control_group import memory_limit_bytes
from edgesdk_agent.health.facts import BrokerFacts, CameraFacts, CameraState, Facts, OutboxFacts
from edgesdk_agent.health.progress import Advance
from edgesdk_agent.health.throttling import Throttling
from edgesdk_agent.meter import Cause, FrameStats

if TYPE_CHECKING:
    from edgesdk_agent.vitals import Vitals

_REPLACED: tuple[Cause, ...] = ("replaced_before_preprocess", "replaced_before_inference")
_STATES = frozenset(get_args(CameraState))


@dataclass(frozen=True, slots=True)
class CameraSource:
    """What is known of a camera beside its counts.

    Attributes:
        fps: returns the pictures a second that are wanted of it now.
        live: it brings pictures by itself.
        state: returns what its supervision says.
        age_budget_ms: returns its own budget, where it has one.
    """

    fps: Callable[[], float | None]
    live: bool
    state: Callable[[], str] = lambda: "online"
    age_budget_ms: Callable[[], float | None] = lambda: None


@dataclass(frozen=True, slots=True)
class FactSources:
    """Who is asked.

    Attributes:
        totals: of the frames since the start; recent: since it was last asked.
        failed: why cameras were given up, by name.
        paused: which cameras are not to bring anything.
        left_out: the cameras whose pictures are lost while a stage hangs, and its name.
        vitals: of now.
        broker: connected, and the problem if not; None where there is no broker.
        outbox: what waits; None where nothing is reported.
        errors_per_minute: in the log.
    """

    totals: Callable[[], FrameStats]
    recent: Callable[[], FrameStats]
    vitals: Callable[[], Vitals]
    cameras: Mapping[str, CameraSource]
    failed: Callable[[], Mapping[str, str]] = dict
    paused: Callable[[], frozenset[str]] = frozenset
    left_out: Callable[[], Mapping[str, str]] = dict
    broker: Callable[[], tuple[bool, str]] | None = None
    outbox: Callable[[], OutboxFacts] | None = None
    errors_per_minute: Callable[[], int] = int


class FactsReader:
    """Read the facts, from one thread.

    Args:
        sources: who is asked.
        clock: monotonic seconds; wall: seconds since 1970.
        trust: judges the wall clock; others may share it.

    Attributes:
        recent: the frames of the last interval, as it was read.
        last_vitals: as they were read.
    """

    def __init__(
        self,
        sources: FactSources,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        trust: ClockTrust | None = None,
    ) -> None:
        self._sources = sources
        self._clock = clock
        self._wall = wall
        self._started = now = clock()
        self._captures = {name: Advance(now) for name in sources.cameras}
        self._results = Advance(now)
        self._captured_at_result = 0
        self._trust = trust or ClockTrust()
        self._throttling = Throttling()
        self._memory_limit = memory_limit_bytes()
        self._broker: tuple[bool, float] | None = None
        self.recent: FrameStats | None = None
        self.last_vitals: Vitals | None = None

    def read(self) -> Facts:
        """Return the facts of now."""
        now = self._clock()
        totals, recent, vitals = self._sources.totals(), self._sources.recent(), self._sources.vitals()
        self.recent, self.last_vitals = recent, vitals
        trust = self._trust.read(self._wall(), now)
        before = self._results.count
        left_out = self._sources.left_out()
        since_result_s = self._results.seen(_advanced(totals, left_out), now)
        if self._results.count != before or not totals.captured:
            self._captured_at_result = totals.captured
        return Facts(
            at=now,
            uptime_s=now - self._started,
            cameras=self._cameras(totals, recent, left_out, now),
            since_result_s=since_result_s,
            frames_wait=totals.in_flight > 0 or totals.captured > self._captured_at_result,
            age_p95_ms=_age_p95_ms(recent),
            broker=self._broker_facts(now),
            outbox=None if self._sources.outbox is None else self._sources.outbox(),
            disk_free_bytes=vitals.disk_free_bytes,
            rss_bytes=vitals.rss_bytes,
            memory_limit_bytes=self._memory_limit or vitals.memory_total_bytes,
            memory_available_bytes=vitals.memory_available_bytes,
            memory_total_bytes=vitals.memory_total_bytes,
            temperature_c=vitals.temperature_c,
            throttled=self._throttling.now(),
            clock=trust,
            fds_open=vitals.fds,
            fds_limit=vitals.fds_limit,
            errors_per_minute=self._sources.errors_per_minute(),
            system_cpu_percent=vitals.system_cpu_percent,
        )

    def _cameras(
        self, totals: FrameStats, recent: FrameStats, left_out: Mapping[str, str], now: float
    ) -> dict[str, CameraFacts]:
        failed, paused = self._sources.failed(), self._sources.paused()
        found = {}
        for name, source in self._sources.cameras.items():
            count = totals.cameras[name].captured if name in totals.cameras else 0
            state = source.state()
            found[name] = CameraFacts(
                since_frame_s=self._captures[name].seen(count, now),
                fps=source.fps(),
                live=source.live,
                failed=failed.get(name, ""),
                state=state if state in _STATES else "online",  # type: ignore[arg-type]  # looked up
                paused=name in paused,
                age_p95_ms=_age_p95_ms(recent.cameras[name]) if name in recent.cameras else None,
                age_budget_ms=source.age_budget_ms(),
                left_out_by=left_out.get(name, ""),
            )
        return found

    def _broker_facts(self, now: float) -> BrokerFacts | None:
        if self._sources.broker is None:
            return None
        connected, problem = self._sources.broker()
        if self._broker is None or self._broker[0] != connected:
            self._broker = (connected, now)
        return BrokerFacts(connected, now - self._broker[1], "" if connected else problem)


def _age_p95_ms(stats: FrameStats) -> float | None:
    return None if stats.age.p95 is None else stats.age.p95 * 1e3


def _advanced(totals: FrameStats, left_out: Mapping[str, str]) -> int:
    """Return the frames that went through: with a result, or left out on purpose. Being replaced is no advance.

    Nor is being lost while a stage hangs: where that is so of every camera that brings pictures, nothing advances.
    """
    heard = [one for name, one in totals.cameras.items() if name not in left_out] if left_out else [totals]
    return sum(one.captured - one.in_flight - sum(one.dropped.get(cause, 0) for cause in _REPLACED) for one in heard)
