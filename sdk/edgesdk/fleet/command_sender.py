"""Tell a device to do something, and hear what became of it.

The command and its answers find each other by an id. Sent again with the same id it is the same command, done once: so
a broken connection costs a repetition, and never a second restart.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Command, Desired, Message, Reply, Reported, State, decode, encode, topic_of
from edgesdk_targets.topics import Channel, Node, Topic

# A device that is there takes a command at once, or says why not.
_ACCEPTED_S = 5.0
# What the broker keeps for us comes right after the subscription.
_RETAINED_S = 0.5


@dataclass(slots=True)
class Outcome:
    """What became of a command.

    Attributes:
        accepted: the device took it; reply: its last word, None where there was none in time.
        state: of the device, as the broker knows it: `online`, `offline`, or empty where it is unknown.
    """

    accepted: bool = False
    reply: Reply | None = None
    state: str = ""

    @property
    def over(self) -> bool:
        """Whether no further word comes."""
        return self.reply is not None and self.reply.step != "accepted"


async def send_command(
    address: BrokerAddress,
    command: Command,
    *,
    wait_s: float | None,
    tls: ssl.SSLContext | None = None,
    told: Callable[[Reply], None] = lambda _reply: None,
) -> Outcome:
    """Send a command, and wait until it is taken, or done.

    Args:
        wait_s: for its end; None waits only until it is taken, or refused.
        told: is called with each answer.

    Raises:
        NotConnected: there is no connection to the broker.
    """
    node, outcome, changed = Node.parse(command.node), Outcome(), asyncio.Event()

    def receive(got: Received) -> None:
        message = _read(got)
        if isinstance(message, State):
            outcome.state = message.state
        elif isinstance(message, Reply) and message.id == command.id and not outcome.over:
            outcome.accepted = outcome.accepted or message.step != "refused"
            outcome.reply = message
            told(message)
            changed.set()

    filters = [str(Topic(node, Channel.REPLY, command.id)), str(Topic(node, Channel.STATE))]
    subscriber = Subscriber(address, filters, receive, tls=tls)
    await subscriber.start()
    try:
        body = encode(command)
        left = max(1, int((command.deadline - datetime.now(timezone.utc)).total_seconds()))
        topic = str(topic_of(command))
        subscriber.publish(topic, body.payload, content_type=body.content_type, expires_s=left)
        end = asyncio.get_running_loop().time() + (_ACCEPTED_S if wait_s is None else wait_s)
        while not outcome.over and not (wait_s is None and outcome.accepted):
            try:
                await asyncio.wait_for(changed.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                break
            changed.clear()
    finally:
        await subscriber.stop()
    return outcome


@dataclass(slots=True)
class ShadowView:
    """The retained documents of a device: what is wanted, and what it says of itself."""

    desired: Desired | None = None
    reported: Reported | None = None
    unread: list[str] = field(default_factory=list)


async def read_shadow(address: BrokerAddress, node: Node, *, tls: ssl.SSLContext | None = None) -> ShadowView:
    """Return what the broker keeps about a device.

    Raises:
        NotConnected: there is no connection to the broker.
    """
    view, _ = await _shadow(address, node, None, 0.0, tls)
    return view


async def send_desired(
    address: BrokerAddress, desired: Desired, *, wait_s: float, tls: ssl.SSLContext | None = None
) -> ShadowView:
    """Retain what a device shall become, and wait until it has said what became of that version.

    Raises:
        NotConnected: there is no connection to the broker.
    """
    view, _ = await _shadow(address, Node.parse(desired.node), desired, wait_s, tls)
    return view


async def _shadow(
    address: BrokerAddress, node: Node, desired: Desired | None, wait_s: float, tls: ssl.SSLContext | None
) -> tuple[ShadowView, bool]:
    view, changed = ShadowView(), asyncio.Event()

    def receive(got: Received) -> None:
        message = _read(got)
        if isinstance(message, Desired):
            view.desired = message
        elif isinstance(message, Reported):
            view.reported = message
        else:
            view.unread.append(got.topic)
        changed.set()

    filters = [str(Topic(node, channel)) for channel in (Channel.DESIRED, Channel.REPORTED)]
    subscriber = Subscriber(address, filters, receive, tls=tls)
    await subscriber.start()
    try:
        if desired is None:
            await asyncio.sleep(_RETAINED_S)
            return view, True
        body = encode(desired)
        subscriber.publish(str(topic_of(desired)), body.payload, content_type=body.content_type, retain=True)
        end = asyncio.get_running_loop().time() + max(wait_s, _RETAINED_S)
        while view.reported is None or view.reported.version < desired.version:
            try:
                await asyncio.wait_for(changed.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                return view, False
            changed.clear()
        return view, True
    finally:
        await subscriber.stop()


def new_command(node: Node, verb: str, arguments: dict[str, object], *, command_id: str, within_s: float) -> Command:
    """Return a command that a device may begin for so many seconds from now."""
    now = datetime.now(timezone.utc)
    fields = {
        "node": str(node), "at": now, "id": command_id, "verb": verb, "arguments": arguments,
        "deadline": now + timedelta(seconds=within_s),
    }  # fmt: skip
    return Command.model_validate(fields)


def _read(got: Received) -> Message | None:
    if not got.payload:
        return None
    try:
        return decode(got.topic, got.payload, got.content_type)
    except InputError:
        return None
