"""Another model in this one's place: begun where a launcher started this agent and its configuration says whose to take."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.update.was_launched import was_launched

if TYPE_CHECKING:
    from edgesdk_agent.shadow.next_frame import NextFrame
    from edgesdk_agent.update.result_tally import ResultTally

log = logging.getLogger(__name__)


def begin_updates(
    hands: AgentSteering,
    pipeline: Pipeline,
    reporter: Reporter | None,
    link: Any,
    counts: CountRegistry,
    trust: ClockTrust,
    stack: ExitStack,
    results: ResultTally | None,
    take_over: Callable[[], None],
    frames: NextFrame | None,
    *,
    pictures: bool,
) -> None:
    """Take wishes for another bundle from now on, and watch a trial if this run is one.

    Args:
        reporter: tells what happens; None without a broker, as `link` then is.
        stack: ends it.
        results: what `tally_of` gave; frames: what `frames_of` did.
        take_over: reads the configuration again, and lets its bundle take over between two frames.
        pictures: whether results carry their pictures anyway.
    """
    config = hands.loaded.config
    section = config.update
    if section is None:
        return
    if not was_launched():
        log.warning(
            "`update` is configured, and no launcher started this agent: its bundle stays. See docs/updating.md."
        )
        return
    from edgesdk_agent.oversight import broker_state
    from edgesdk_agent.update.agent_update import AgentUpdate
    from edgesdk_agent.update.hot_swap import HotSwap
    from edgesdk_agent.update.launched import launched
    from edgesdk_agent.update.trial_watch import RunningAgent, memory_bytes

    found = launched()
    if found is None or results is None or frames is None:
        return
    from edgesdk_agent.shadow.device_shadow import Beside
    from edgesdk_agent.shadow.shown_agent import ShownAgent

    def digest() -> str:
        return hands.running.model.digest

    update = AgentUpdate(
        section,
        found,
        RunningAgent(
            totals=pipeline.stats,
            recent=pipeline.span().read,
            paused=hands.paused,
            digest=digest,
            broker_reached=None if link is None else lambda: broker_state(link)[0],
            results=results,
        ),
        target=config.target,
        variant=config.variant,
        budget_ms=config.health.age_budget_ms,
        tell=_tell_nobody if reporter is None else reporter.event,
        clock_trusted=trust.now,
        swap=HotSwap(take_over, digest, memory_bytes),
        beside=Beside(
            ShownAgent(hands, pipeline, pictures=pictures),
            frames,
            config.target,
            config.variant,
            section.shadow.settings,
        ),
        standing=lambda step: hands.say_again(step=step),
    )
    counts.add("update", update.counts)
    stack.callback(update.stop)
    update.start()


def tally_of(config: AgentConfig) -> ResultTally | None:
    """Return what gathers the results that a trial is judged by; None where no trial can be."""
    if config.update is None or not was_launched():
        return None
    from edgesdk_agent.update.result_tally import ResultTally

    return ResultTally()


def frames_of(config: AgentConfig) -> NextFrame | None:
    """Return what hands frames to a shadow run; None where there can be none."""
    if config.update is None or not was_launched():
        return None
    from edgesdk_agent.shadow.next_frame import NextFrame

    return NextFrame()


def replaced_by_launcher() -> bool:
    """Say whether this process ends so that the launcher runs the other slot."""
    if not was_launched():
        return False
    from edgesdk_agent.update.launched import launched

    found = launched()
    return found is not None and found.is_replaced()


def tell_launcher_of_damage() -> None:
    """Say that this start failed since the disk damaged its bundle, if that is so: the launcher has another one."""
    if was_launched():
        from edgesdk_agent.update.damage import tell_damage

        tell_damage()


def _tell_nobody(*_told: object, **_more: object) -> None:
    """Without a broker there is nobody to tell; the log has it."""
