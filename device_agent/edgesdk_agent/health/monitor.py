"""The thread that looks after the agent: facts → checks → who is told; and the watchdog's hand on the service manager.

Nothing of the pipeline passes through it. It reads counts, so that a pipeline that stands still is seen by somebody who
does not stand in it. The service manager is told `alive` only while the pipeline advances, or has nothing to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from edgesdk_agent.health.assessment import Assessment, State, assess
from edgesdk_agent.health.changes import Changes
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits
from edgesdk_agent.health.sd_notify import ServiceManager
from edgesdk_agent.health.thread_dump import thread_dump
from edgesdk_agent.health.watchdog import Act, Watchdog

log = logging.getLogger(__name__)

Severity = Literal["info", "warning", "error"]
_SEVERITIES: dict[Level, Severity] = {Level.OK: "info", Level.WARNING: "warning", Level.FAILING: "error"}


class Tell(Protocol):
    """Reports an event."""

    def __call__(self, name: str, severity: Severity, message: str, *, camera: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What the monitor may do.

    Attributes:
        tell: reports an event.
        show: is given each assessment with its facts: writes the status, asks the governor.
        mend: tries the mild repair; bounded in time.
        end: ends the process with the stalled pipeline's code; need not return.
    """

    tell: Tell
    show: Callable[[Assessment, Facts], None]
    mend: Callable[[], None]
    end: Callable[[], None]


class Monitor:
    """Look every `interval_s`, from a thread of its own.

    Args:
        read: returns the facts of now.
        hands: what may be done.
        limits: of the checks.
        manager: is told how it goes.
    """

    def __init__(
        self,
        read: Callable[[], Facts],
        hands: Hands,
        *,
        limits: HealthLimits | None = None,
        watchdog: Watchdog | None = None,
        manager: ServiceManager | None = None,
        interval_s: float = 5.0,
    ) -> None:
        self._read = read
        self._hands = hands
        self._limits = limits or HealthLimits()
        self._watchdog = watchdog
        self._manager = manager or ServiceManager({})
        # Three times within the manager's patience, as one may come late on a busy device.
        self._interval_s = min(interval_s, (self._manager.watchdog_s or interval_s * 3) / 3)
        self._changes = Changes()
        self._had_result = False
        self._told_state: State = "online"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-health", daemon=True)
        self.last: Assessment | None = None

    def start(self) -> None:
        """Begin to look; the service manager hears that the start is over."""
        self._manager.ready("running")
        self._thread.start()

    def stop(self, *, again: bool = False) -> None:
        """End; may be called twice.

        Args:
            again: the same process begins anew, which the service manager must not take for its end.
        """
        self._stopping.set()
        if not again:
            self._manager.stopping("stopping")
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        if again:
            # After the thread's last `alive`, which would shorten the manager's patience again.
            self._manager.restarting("starts again")

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self.look()
            except (
                Exception
            ):  # the thread's top: who looks after the others must go on; the manager is not told `alive`
                log.exception("The health of the agent could not be read")

    def look(self) -> Assessment:
        """Look once, and do what follows."""
        facts = self._read()
        assessment = self.last = assess(facts, self._limits)
        for finding in self._changes.news(assessment.findings, facts.at):
            self._tell(finding)
        self._tell_state(assessment)
        self._hands.show(assessment, facts)
        self._watch(facts, assessment)
        return assessment

    def _tell(self, finding: Finding) -> None:
        severity = _SEVERITIES[finding.level]
        level = logging.INFO if finding.level is Level.OK else logging.WARNING
        log.log(level, "health: %s is %s: %s", finding.key, finding.level.word, finding.reason)
        camera = finding.subject if finding.check == "cameras_producing" else ""
        message = f"{finding.level.word}: {finding.reason} {finding.hint}".strip()
        self._hands.tell(f"health_{finding.check}", severity, message, camera=camera)

    def _tell_state(self, assessment: Assessment) -> None:
        """Tell the device's state when it changes, by what was told: a recovery must last here too."""
        if assessment.state != "online" and self._told_state == "online":
            self._told_state = "degraded"
        elif assessment.state == "online" and self._told_state != "online" and self._changes.all_well:
            self._told_state = "online"

    @property
    def state(self) -> State:
        """What the device says of itself."""
        return self._told_state

    def _watch(self, facts: Facts, assessment: Assessment) -> None:
        self._had_result = self._had_result or facts.since_result_s < facts.uptime_s
        act = Act.NOTHING
        if self._watchdog is not None:
            act = self._watchdog.decide(
                still_s=facts.since_result_s,
                frames_wait=facts.frames_wait,
                had_result=self._had_result,
                now=facts.at,
            )
        if act is Act.NOTHING:
            first = next(iter(assessment.troubles), None)
            self._manager.alive(assessment.state if first is None else f"{assessment.state}: {first.reason}")
            return
        still = f"There was no result for {facts.since_result_s:.0f} s, although pictures come."
        log.error("%s What each thread does:\n%s", still, thread_dump())
        if act is Act.MEND:
            self._hands.tell("pipeline_stalled", "error", f"{still} The inference stage is started again.")
            self._hands.mend()
            return
        self._hands.tell("pipeline_stalled", "error", f"{still} The agent ends, to be started afresh.")
        log.critical("The pipeline stands still; the agent ends, so that the service manager starts it afresh")
        self._hands.end()
