"""What is said to this device, and what is answered: the link's door for those who do not deal in reports.

Listeners are called on the link's thread: they look at a message and put it somewhere, and never wait. What is to be
said passes no outbox: an answer that is lost with a connection is asked for again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgesdk_agent.link.presence import Publication
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.wire import MAX_PAYLOAD_BYTES
from edgesdk_targets.topics import Channel, Node, Topic

log = logging.getLogger(__name__)

# What the broker may pass on to us: a message, its topic and its properties.
LARGEST_PACKET_BYTES = MAX_PAYLOAD_BYTES + 4096
_UNSAID = 256


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message to this device, as it came.

    Attributes:
        expires_s: how much longer it means something, as the broker counted; None where the sender set no limit.
    """

    topic: str
    payload: bytes
    content_type: str = ""
    retained: bool = False
    expires_s: float | None = None


Listener = Callable[[Inbound], None]


class Inbox:
    """Who listens to which channel, and what waits to be said.

    Listen before the link starts. `say` may be called from any thread; of more than a few hundred messages that wait
    for a connection the oldest are dropped, and counted.
    """

    def __init__(self) -> None:
        self._listeners: dict[Channel, Listener] = {}
        self._lock = threading.Lock()
        self._said: deque[Publication] = deque()
        self._wake: Callable[[], None] = _nobody
        self._dropped = self._failed = self._heard = 0

    def listen(self, channel: Channel, listener: Listener) -> None:
        """Have a listener called with each message of a channel of this device."""
        self._listeners[channel] = listener

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when there is something to say."""
        self._wake = wake

    def say(self, *publications: Publication) -> None:
        """Send these as soon as there is a connection."""
        with self._lock:
            self._said.extend(publications)
            while len(self._said) > _UNSAID:
                self._said.popleft()
                self._dropped += 1
        self._wake()

    def counts(self) -> dict[str, int]:
        """Return what came in, what a listener failed on, and what was never said."""
        return {"heard": self._heard, "failed": self._failed, "unsaid": self._dropped}

    # --- for the connection

    def topics(self, node: Node) -> list[str]:
        """Return what to subscribe to."""
        return [str(Topic(node, channel)) for channel in self._listeners]

    def take_said(self) -> list[Publication]:
        """Return what is to be said, once."""
        if not self._said:
            return []
        with self._lock:
            taken = list(self._said)
            self._said.clear()
        return taken

    def deliver(self, message: Inbound) -> None:
        """Give a message to its listener; whatever that raises is counted, and holds nobody up."""
        self._heard += 1
        try:
            listener = self._listeners.get(Topic.parse(message.topic).channel)
            if listener is not None:
                listener(message)
        except InputError as error:
            self._failed += 1
            log.debug("A message to this device was not read: %s", error.message)
        except Exception:  # a listener's border: the connection must not end with it
            self._failed += 1
            log.exception("A message to this device could not be handled")


def inbound(message: Any) -> Inbound:
    """Read paho's message."""
    properties = message.properties
    expiry = getattr(properties, "MessageExpiryInterval", None)
    return Inbound(
        message.topic,
        bytes(message.payload),
        getattr(properties, "ContentType", "") or "",
        bool(message.retain),
        None if expiry is None else float(expiry),
    )


def _nobody() -> None:
    pass
