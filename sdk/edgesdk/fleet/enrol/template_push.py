"""Bring what a template says now to the devices that follow it: a desired state each, retained at the broker.

What else is wanted of a device (`fleet desired`: its bundle, its log level, paused cameras) stays as it is; of `config` the
template is the one author.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, Engine

from edgesdk.fleet.enrol.drift import wanted_configuration
from edgesdk.fleet.enrol.template_change import Change, change
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store import followers
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.wanted import put_wanted
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError, NotConnected
from edgesdk_targets.messages import Desired, Reported, decode, encode, topic_of
from edgesdk_targets.topics import Channel, every_device

# What the broker keeps comes at once after the subscription; then it is quiet.
_QUIET_S = 0.5
_TAKEN_S = 10.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one device.

    Attributes:
        version: of its desired state; 0 where nothing was ever wanted.
        state: `as wanted` (nothing was to be sent), `waiting` (the broker keeps it), `applied`, `pending` (until its next
            start) or `refused`.
        left: what could not be sent, and what was refused, each with its reason.
    """

    node: str
    version: int
    state: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class _Broker:
    """What the broker keeps of the devices that are meant."""

    nodes: frozenset[str]
    desired: dict[str, Desired] = field(default_factory=dict)
    reported: dict[str, Reported] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def receive(self, got: Received) -> None:
        try:
            message = decode(got.topic, got.payload, got.content_type)
        except InputError:
            return
        if isinstance(message, Desired) and message.node in self.nodes:
            self.desired[message.node] = message
            self.changed.set()
        elif isinstance(message, Reported) and message.node in self.nodes:
            self.reported[message.node] = message
            self.changed.set()

    async def quiet(self) -> None:
        """Wait until nothing has come for a moment."""
        while True:
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), _QUIET_S)
            except asyncio.TimeoutError:
                return

    async def until(self, true: Callable[[], bool], within_s: float) -> bool:
        """Wait until something holds; False where it did not in time."""
        end = asyncio.get_running_loop().time() + within_s
        while not true():
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                return true()
        return True


async def push_template(
    engine: Engine, template: str, address: BrokerAddress, *, tls: ssl.SSLContext | None = None, node: str = "",
    wait_s: float = 10.0, actor: str = "",
) -> list[Pushed]:  # fmt: skip
    """Tell every device that follows a template, or one of them, what it says now; return what became of each.

    Args:
        wait_s: for what devices say of it; who is away is told by the broker when it comes back.

    Raises:
        InputError: there is no such template or device.
        NotConnected: the broker does not take us, or did not take what was sent.
    """
    changes = await asyncio.to_thread(_changes, engine, template, node)
    broker = _Broker(frozenset(changes))
    filters = [every_device(channel) for channel in (Channel.DESIRED, Channel.REPORTED)]
    subscriber = Subscriber(address, filters, broker.receive, tls=tls)
    await subscriber.start()
    try:
        await broker.quiet()
        documents = [made for name, one in changes.items() if (made := _document(name, one, broker)) is not None]
        for document in documents:
            body = encode(document)
            subscriber.publish(str(topic_of(document)), body.payload, content_type=body.content_type, retain=True)
        # The broker says to us, too, what it took.
        taken = await broker.until(lambda: all(_taken(broker, d) for d in documents), _TAKEN_S)
        if not taken:
            raise NotConnected(f"{address} did not take what was sent.", hint="May this user write edgesdk/1/+/down/#?")
        await asyncio.to_thread(_keep, engine, documents, actor)
        await broker.until(lambda: all(_answered(broker, d) for d in documents), wait_s)
    finally:
        await subscriber.stop()
    sent = {document.node for document in documents}
    return [_outcome(name, one, broker, sent=name in sent) for name, one in changes.items()]


def _changes(engine: Engine, template: str, node: str) -> dict[str, Change]:
    with reading(engine) as connection:
        found = [name for name in followers.names(connection, template) if node in ("", name)]
        if node and not found:
            raise InputError(f"{node[:140]} does not follow {template}.", hint="edgesdk fleet template drift")
        return {name: _change(connection, name) for name in found}


def _change(connection: Connection, node: str) -> Change:
    given = followers.given_configuration(connection, node)
    if given is None:
        return Change({}, ("what its file holds is not known here: enrol it again",))
    return change(given, wanted_configuration(connection, node))


def _document(node: str, wanted: Change, broker: _Broker) -> Desired | None:
    """Return what is to be retained for a device, or None where the same is there already."""
    known, reported = broker.desired.get(node), broker.reported.get(node)
    state = dict(known.state) if known is not None else {}
    fields = dict(wanted.fields)
    if (state.get("config") or {}) == fields:
        return None
    version = 1 + max(known.version if known else 0, reported.version if reported else 0)
    return Desired(node=node, at=datetime.now(timezone.utc), version=version, state={**state, "config": fields})


def _keep(engine: Engine, documents: Sequence[Desired], actor: str) -> None:
    now_ms = int(time.time() * 1000)
    with writing(engine) as connection:
        for document in documents:
            put_wanted(connection, document.node, document.version, dict(document.state), actor=actor, at_ms=now_ms)


def _taken(broker: _Broker, document: Desired) -> bool:
    known = broker.desired.get(document.node)
    return known is not None and known.version >= document.version


def _answered(broker: _Broker, document: Desired) -> bool:
    reported = broker.reported.get(document.node)
    return reported is not None and reported.version >= document.version


def _outcome(node: str, wanted: Change, broker: _Broker, *, sent: bool) -> Pushed:
    desired, reported = broker.desired.get(node), broker.reported.get(node)
    version, said = (desired.version if desired else 0), tuple[str, ...]()
    if reported is None or reported.version < version:
        state = "waiting" if sent or version else "as wanted"
    else:
        said = tuple(f"{one.what}: {one.why}" for one in reported.refused)
        state = "refused" if said else "pending" if reported.pending else "applied" if sent else "as wanted"
    return Pushed(node, version, state, wanted.fields, (*wanted.left, *said))
