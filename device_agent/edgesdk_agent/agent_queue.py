"""The agent's queue of reports, from its opening to the end of a run: on disk or in memory, as the configuration says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.health.facts import OutboxFacts
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    # SQLite is loaded only where an outbox is configured.
    from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)

_LAST_REPORTS_S = 1.0
GOODBYE_S = 1.0


def open_queue(config: AgentConfig, *, mqtt: bool) -> ReportQueue | Outbox:
    """Open what reports wait in.

    Raises:
        InputError: another process has the outbox, or the uplink is metered and there is none.
    """
    if mqtt and config.outbox.file() is not None:
        from edgesdk_agent.outbox.agent_outbox import open_outbox

        return open_outbox(config)
    if mqtt and config.outbox.bytes_per_day():
        hint = "Set outbox.path to a file of this device, or run the agent as a service, which has one unasked."
        raise InputError("The uplink is metered, but reports have no outbox to wait in.", hint=hint)
    return ReportQueue(max_items=config.queue.max_reports, max_bytes=config.queue.max_bytes)


def keep_queue(queue: ReportQueue | Outbox, reporter: Reporter, counts: CountRegistry, stack: ExitStack) -> None:
    """Have an outbox written to disk from now on, until the run ends."""
    if not isinstance(queue, ReportQueue):
        from edgesdk_agent.outbox.agent_outbox import kept

        counts.add("outbox", queue.figures)
        stack.enter_context(kept(queue, partial(_tell_trouble, reporter)))


def deliver_rest(queue: ReportQueue | Outbox, link: Any, limit_s: float, began: float) -> None:
    """Deliver what waits, and say goodbye.

    Args:
        limit_s: of the whole stop, which began at `began`, monotonic.

    Raises:
        NotConnected: nothing was ever delivered, and nothing is kept.
    """
    if queue.durable:
        # What is not delivered stays on disk, and is told of when that is closed: no reason to hold a stop for long.
        link.flush(min(limit_s, _LAST_REPORTS_S))
        link.stop(GOODBYE_S)
        return
    # One deadline for the whole stop; a pipeline that took all of it leaves a little for the reports.
    if not link.flush(max(min(limit_s, _LAST_REPORTS_S), limit_s - (time.monotonic() - began))):
        status, left = link.status(), queue.counts()
        if status.acknowledged == 0 and status.problem is not None:
            # Not one message was ever taken: this run reported nothing, and must not look as if it had.
            link.stop(GOODBYE_S)
            raise status.problem.error()
        log.warning(
            "%d reports could not be delivered: the broker did not take them in time", left.pending + left.in_flight
        )
    link.stop(GOODBYE_S)


def outbox_facts(queue: ReportQueue | Outbox) -> Callable[[], OutboxFacts]:
    """Return a reader of what waits, and of what was lost since it was last asked."""
    lost_before = 0

    def read() -> OutboxFacts:
        nonlocal lost_before
        counts = queue.counts()
        lost = sum(counts.lost.values())
        since, lost_before = lost - lost_before, lost
        return OutboxFacts(queue.fullness, counts.pending + counts.in_flight, since)

    return read


def _tell_trouble(reporter: Reporter, code: str, message: str) -> None:
    reporter.event(code, "error", message)
