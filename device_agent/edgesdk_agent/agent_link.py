"""The agent's connection to its broker, made from the configuration and started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgesdk_agent.agent_results import AgentResults
from edgesdk_agent.link.presence import Identity, Presence
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_agent.steering.agent_steering import AgentSteering

if TYPE_CHECKING:
    # Whoever works without a broker does not load its client, nor who has no outbox SQLite.
    from edgesdk_agent.link.link import Link
    from edgesdk_agent.outbox.outbox import Outbox


def make_link(
    hands: AgentSteering,
    queue: ReportQueue | Outbox,
    identity: Identity,
    results: AgentResults,
    *,
    clock_trusted: Callable[[], bool],
    stack: ExitStack,
) -> Link:
    """Return the link, which is not started, and let steering and pictures use it.

    Args:
        identity: who the device says it is.
        stack: stops it.
    """
    from edgesdk_agent.link.link import Link

    config = hands.loaded.config
    mqtt = config.mqtt
    presence = hands.presence = Presence(
        identity, epoch=queue.epoch, next_seq=lambda: queue.next_seq, clock_trusted=clock_trusted
    )
    settings = LinkSettings(
        client_id=mqtt.client_id,
        keepalive_s=mqtt.keepalive_s,
        will_delay_s=mqtt.will_delay_s,
        connect_timeout_s=mqtt.connect_timeout_s,
    )
    tls = mqtt.tls()
    link = Link(mqtt.address(), queue, presence, tls=tls, settings=settings, inbox=hands.inbox)
    hands.link = link
    results.pictures.publish_by(config.device.node, queue, hands.inbox.say, link.status)
    stack.callback(link.stop)
    if mqtt.cert is not None:
        from edgesdk_agent.enrol.renewal import renewal_for

        if (renewal := renewal_for(mqtt.cert, tls)) is not None:
            renewal.start()
            stack.callback(renewal.stop)
    return link
