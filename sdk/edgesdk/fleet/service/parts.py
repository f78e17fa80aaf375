"""What the routes of one service share: the store, who may, the way to the devices, what is live."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from starlette.requests import Request

from edgesdk.fleet.alerts.channel_settings import Seal
from edgesdk.fleet.rollout.shelf import Shelf
from edgesdk.fleet.service.live.event_stream import Listeners
from edgesdk.fleet.service.security.access import Access
from edgesdk.fleet.service.security.principal import Principal, peer
from edgesdk.fleet.store.audit import AuditLog
from edgesdk_targets.broker_address import BrokerAddress

if TYPE_CHECKING:
    from edgesdk.fleet.enrol.taking_back import TakingBack
    from edgesdk.fleet.service.commander import Commander
    from edgesdk.fleet.service.live.fleet_feed import FleetFeed
    from edgesdk.fleet.service.live.node_feed import NodeFeeds


@dataclass(frozen=True, slots=True)
class Joining:
    """What the line that is pasted on a device holds of this service.

    Attributes:
        server: `https://host:port`, as devices reach it; empty where only the person who asks can say.
        pin: of the service's key; ca_sha256: of the authority. Both empty where every device trusts the certificate.
    """

    server: str = ""
    pin: str = ""
    ca_sha256: str = ""


@dataclass(slots=True)
class Parts:
    """The parts of one service, made once.

    Attributes:
        media: the folder that pictures lie in.
        listeners: who has which live connections open.
        commander, node_feeds: None where no broker was named: then nothing is told to or heard of a device.
        broker, tls: where devices are reached, for what has a connection of its own.
        seal: closes and opens the secrets of the alerts' channels; None where nobody is told by this service.
        joining: None where no device can enrol here.
        taking_back: how a device's identity is taken back; None where this service has no authority.
        shelf: the bundles that can be rolled out; None where this service drives no roll-outs.
        bundle_server: where devices fetch those, `https://host:port`; empty where they cannot.
        collecting: what the collector is doing, as far as it is ours: `problem` is empty while it is well.
    """

    engine: Engine
    access: Access
    audit: AuditLog
    media: Path
    fleet_feed: FleetFeed
    listeners: Listeners = field(default_factory=Listeners)
    commander: Commander | None = None
    node_feeds: NodeFeeds | None = None
    broker: BrokerAddress | None = None
    tls: ssl.SSLContext | None = None
    seal: Seal | None = None
    joining: Joining | None = None
    taking_back: TakingBack | None = None
    shelf: Shelf | None = None
    bundle_server: str = ""
    collecting: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.time)


def parts_of(request: Request) -> Parts:
    """Return the parts of the service that answers this request."""
    return request.app.state.parts  # type: ignore[no-any-return]


def note(
    request: Request, who: Principal | str, action: str, subject: str = "", *, outcome: str = "ok", **detail: Any
) -> None:
    """Write a line of the audit log about this request."""
    actor = who if isinstance(who, str) else who.asker
    parts_of(request).audit.write(actor, action, subject, outcome=outcome, address=peer(request), detail=detail or None)
