"""Where each message is spoken: `edgesdk/1/{tenant}.{device}/up|down/…`.

Tenant and device share one topic level, so that a broker's pattern rule (`edgesdk/1/%u/up/#`) can bind every
device to its own topics. A name therefore holds no dot, slash or wildcard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from edgesdk_targets.errors import InputError

PREFIX = "edgesdk/1"
DEFAULT_TENANT = "local"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Channel(str, Enum):
    """What is spoken on a topic, and in which direction: `up` from the device, `down` to it."""

    BIRTH = "up/birth"
    STATE = "up/state"
    RESULT = "up/result"
    TELEMETRY = "up/tele"
    EVENT = "up/event"
    SEGMENT = "up/segment"
    REPORTED = "up/reported"
    REPLY = "up/reply"
    SNAPSHOT = "up/snap"
    ACK = "down/ack"
    DESIRED = "down/desired"
    COMMAND = "down/cmd"

    @property
    def retained(self) -> bool:
        """Whether the broker keeps the last message for those who come later."""
        return self in (Channel.BIRTH, Channel.STATE, Channel.REPORTED, Channel.DESIRED)


def check_name(name: str, what: str) -> str:
    """Return `name` if it can be a tenant or device.

    Raises:
        InputError: it is empty, too long, or holds another character than letters, digits, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{what} {name[:80]!r} is not a name: 1 to 64 of the letters A-Z a-z, digits, '_' and '-'.",
            hint=f"Choose another {what}, for example {suggested_name(name)!r}.",
        )
    return name


def suggested_name(text: str) -> str:
    """Return the nearest allowed name to any text, such as a host's name with dots."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:64] or "device"


@dataclass(frozen=True, slots=True)
class Node:
    """One device of one tenant, written `{tenant}.{device}`."""

    device: str
    tenant: str = DEFAULT_TENANT

    def __post_init__(self) -> None:
        check_name(self.tenant, "tenant")
        check_name(self.device, "device")

    def __str__(self) -> str:
        return f"{self.tenant}.{self.device}"

    @classmethod
    def parse(cls, text: str) -> Node:
        """Read `{tenant}.{device}`.

        Raises:
            InputError: it is not of this form.
        """
        tenant, dot, device = text.partition(".")
        if not dot:
            raise InputError(f"{text[:140]!r} is not a node.", hint="Write it as tenant.device.")
        return cls(device=device, tenant=tenant)


@dataclass(frozen=True, slots=True)
class Topic:
    """One concrete topic.

    Attributes:
        node: whose it is.
        channel: what is spoken there.
        reply_id: of a reply, the command it answers; otherwise empty.
    """

    node: Node
    channel: Channel
    reply_id: str = ""

    def __post_init__(self) -> None:
        if self.channel is Channel.REPLY:
            check_name(self.reply_id, "reply id")
        elif self.reply_id:
            raise InputError(f"{self.channel.value} has no reply id.", hint="Only up/reply is followed by one.")

    def __str__(self) -> str:
        end = f"/{self.reply_id}" if self.reply_id else ""
        return f"{PREFIX}/{self.node}/{self.channel.value}{end}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """Read a topic.

        Raises:
            InputError: it is not one of edgesdk's topics.
        """
        return _parsed(text)


# Whoever listens to ten thousand devices reads the same few topics of each for ever.
@lru_cache(maxsize=1 << 16)
def _parsed(text: str) -> Topic:
    parts = text.split("/")
    if len(parts) not in (5, 6) or "/".join(parts[:2]) != PREFIX:
        raise InputError(f"{text[:200]!r} is not a topic of edgesdk.", hint=f"They begin with {PREFIX}/.")
    try:
        channel = Channel("/".join(parts[3:5]))
    except ValueError as error:
        known = ", ".join(c.value for c in Channel)
        raise InputError(f"{text[:200]!r} ends in no known channel.", hint=f"One of {known}.") from error
    if (len(parts) == 6) != (channel is Channel.REPLY):
        raise InputError(f"{text[:200]!r} is not a topic of edgesdk.", hint="Only up/reply has a last level.")
    return Topic(Node.parse(parts[2]), channel, "".join(parts[5:]))


def every_device(channel: Channel) -> str:
    """Return the subscription filter for one channel of all devices of all tenants.

    MQTT wildcards stand for whole levels, so a broker cannot select one tenant: look at `Topic.node.tenant`.
    """
    return f"{PREFIX}/+/{channel.value}" + ("/+" if channel is Channel.REPLY else "")


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether an MQTT subscription filter covers a topic (`+` one level, a last `#` all that follow)."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    for index, level in enumerate(wanted):
        if level == "#":
            return index == len(wanted) - 1
        if index >= len(given) or level not in ("+", given[index]):
            return False
    return len(wanted) == len(given)
