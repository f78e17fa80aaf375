"""The status of a running agent: what `edgesdk-agent status` shows, put where others on the device can read it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.status_file import own_folder, process_ticks, status_folder, write_status
from edgesdk_agent.health.thread_dump import dump_on_signal
from edgesdk_agent.vitals import Vitals

log = logging.getLogger(__name__)

_MOST_TROUBLES = 20


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Who is asked, each for its part.

    Attributes:
        state: of the device in a word; frames: counted since the start, as JSON.
        counts: of all parts; governor: where it stands, or None; troubles: the last of the log.
    """

    state: Callable[[], str]
    frames: Callable[[], dict[str, Any]]
    counts: Callable[[], dict[str, int]]
    vitals: Callable[[], Vitals | None]
    governor: Callable[[], dict[str, object] | None]
    troubles: Callable[[], list[str]]


@dataclass(slots=True)
class StatusTeller:
    """Writes the status of one agent.

    Args:
        device: its name; version: of edgesdk.
        enabled: write it at all.
    """

    device: str
    version: str
    sources: StatusSources
    enabled: bool = True
    _broken: bool = field(default=False, init=False)
    _threads_file: str = field(default="", init=False)

    def open(self) -> None:
        """Let a support bundle ask what each thread does."""
        if not self.enabled:
            return
        try:
            file = own_folder(status_folder()) / f"{self.device}.threads.txt"
            dump_on_signal(file)
        except (OSError, ValueError) as error:
            log.debug("Nobody can ask what the threads do: %s", error)
        else:
            self._threads_file = str(file)

    def tell(self, assessment: Assessment, facts: Facts) -> None:
        """Put the status of now in place of the last one."""
        if not self.enabled:
            return
        try:
            write_status(status_folder(), self.device, self.status(assessment, facts))
        except (OSError, ValueError) as error:
            # Once: a full disk must not fill the log as well.
            if not self._broken:
                log.warning("The status cannot be written: %s", error)
            self._broken = True

    def status(self, assessment: Assessment, facts: Facts) -> dict[str, Any]:
        """Return the status of now."""
        sources = self.sources
        vitals = sources.vitals()
        return {
            "schema": "status/1",
            "device": self.device,
            "version": self.version,
            "pid": os.getpid(),
            "started_ticks": process_ticks(os.getpid()),
            "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "clock_trusted": facts.clock is None or facts.clock.trusted,
            "uptime_s": round(facts.uptime_s, 1),
            "state": sources.state(),
            "level": assessment.level.word,
            "age_p95_ms": facts.age_p95_ms,
            "findings": [finding.to_json() for finding in assessment.findings],
            "frames": sources.frames(),
            "governor": sources.governor(),
            "counts": sources.counts(),
            "broker": None if facts.broker is None else asdict(facts.broker),
            "vitals": None if vitals is None else vitals.to_json(),
            "threads_file": self._threads_file,
            "troubles": sources.troubles()[-_MOST_TROUBLES:],
        }
