"""What a connection to the broker stands between: the address and how to reach it, and the parts of the agent behind it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesdk_agent.link.inbox import Inbox
from edgesdk_agent.link.presence import Presence
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_agent.wake import Wake
from edgesdk_targets.broker_address import BrokerAddress

if TYPE_CHECKING:
    # Only where an outbox is configured is SQLite loaded.
    from edgesdk_agent.outbox.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Ends:
    """What a connection connects, and how.

    Attributes:
        wake: set when there may be something to send or the link shall stop.
        note: is told `acknowledged=1` and `problem=…`.
        inbox: who listens to which of the device's own topics, and what others of this process want said.
    """

    address: BrokerAddress
    tls: ssl.SSLContext | None
    settings: LinkSettings
    queue: ReportQueue | Outbox
    presence: Presence
    wake: Wake
    note: Callable[..., None]
    inbox: Inbox = field(default_factory=Inbox)

    @property
    def client_id(self) -> str:
        """The name at the broker."""
        return self.settings.client_id or str(self.presence.node)
