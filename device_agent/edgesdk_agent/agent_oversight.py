"""What looks after a running agent, given the agent's parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgesdk_agent.agent_queue import outbox_facts
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.data_folders import data_folders
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.logs.start import current_logs
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.oversight import Oversight, Watched, broker_state, queue_numbers
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.steering.running_model import bundle_name
from edgesdk_agent.vitals import VitalsReader


def make_oversight(
    hands: AgentSteering,
    pipeline: Pipeline,
    cameras: Mapping[str, Camera],
    reporter: Reporter,
    link: Any,
    queue: Any,
    counts: CountRegistry,
    *,
    version: str,
    trust: ClockTrust,
    end: Callable[[], None],
) -> Oversight:
    """Return what watches this run, not started, and let steering use it.

    Args:
        link: to the broker; None works without one, and `reporter` then tells nothing.
        queue: of the reports.
        version: of edgesdk.
        trust: judges the wall clock.
        end: ends the process, as the pipeline stands still.

    Raises:
        InputError: the address of the metrics is taken.
    """
    logs = current_logs()
    counts.add("log", logs.troubles.counts)
    counts.add("reports", partial(queue_numbers, queue))
    watched = Watched(
        config=lambda: hands.loaded.config,
        pipeline=pipeline,
        model=hands.running.model,
        cameras=cameras,
        paused=hands.paused,
        # One of its own: what is read "since the last time" has a reader each.
        vitals=VitalsReader(*data_folders(hands.loaded.config)),
        counts=counts,
        tell=_tell_nobody if link is None else reporter.event,
        broker=None if link is None else partial(broker_state, link),
        outbox=None if link is None else outbox_facts(queue),
        model_taken=lambda taken: reporter.set_bundle(bundle_name(taken)),
        end=end,
        trust=trust,
        troubles=logs.troubles.last,
        errors_per_minute=logs.troubles.errors_per_minute,
    )
    oversight = hands.oversight = Oversight(watched, version=version)
    return oversight


def _tell_nobody(*_told: object, **_more: object) -> None:
    """Without a broker there is nobody to tell; the log has it."""
