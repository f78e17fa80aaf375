"""One device as it speaks: its messages, straight from the broker, while somebody looks at its page.

However many look at a device, the service listens once; when the last one leaves, no more. A watcher who is slow loses
the oldest messages: what is live is worth nothing later, and the store has everything.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.result_text import result_text
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.messages import Event, Message, Reply, ResultMessage, State, Telemetry, decode
from edgesdk_targets.topics import Channel, Node, Topic

_WAITING_MESSAGES = 50
_RETRY_S = 2.0
MAX_NODES = 200
# As many as can be told apart on a page.
_MOST_BOXES = 50
_LABEL_CHARACTERS = 40
_CHANNELS = (Channel.STATE, Channel.RESULT, Channel.TELEMETRY, Channel.EVENT, Channel.SNAPSHOT)


@dataclass(slots=True)
class _Feed:
    """One device's watchers."""

    watchers: set[asyncio.Queue[str]] = field(default_factory=set)
    listening: asyncio.Task[None] | None = None

    def say(self, text: str) -> None:
        for queue in self.watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)


class NodeFeeds:
    """The live messages of devices.

    Args:
        address: the broker; tls: where the address says TLS.
    """

    def __init__(self, address: BrokerAddress, *, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._tls = tls
        self._feeds: dict[str, _Feed] = {}

    @property
    def full(self) -> bool:
        """Whether no further device can be watched."""
        return len(self._feeds) >= MAX_NODES

    async def watch(self, node: Node) -> AsyncIterator[str]:
        """Give a device's messages as JSON documents with a `kind`, until the caller ends it."""
        queue: asyncio.Queue[str] = asyncio.Queue(_WAITING_MESSAGES)
        feed = self._feeds.setdefault(str(node), _Feed())
        feed.watchers.add(queue)
        if feed.listening is None:
            feed.listening = asyncio.create_task(self._listen(node, feed))
        try:
            while True:
                yield await queue.get()
        finally:
            feed.watchers.discard(queue)
            if not feed.watchers:
                self._feeds.pop(str(node), None)
                feed.listening.cancel()

    def tell(self, node: str, document: dict[str, Any]) -> None:
        """Say something to who watches a device, such as that a command was answered."""
        feed = self._feeds.get(node)
        if feed is not None:
            feed.say(json.dumps(document))

    async def close(self) -> None:
        """Listen to nobody any more."""
        tasks = [feed.listening for feed in self._feeds.values() if feed.listening is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, node: Node, feed: _Feed) -> None:
        def receive(got: Received) -> None:
            try:
                # A picture is read by the collector; a page only needs to know that there is one.
                picture = Topic.parse(got.topic).channel is Channel.SNAPSHOT
                said = {"kind": "picture"} if picture else document_of(decode(got.topic, got.payload, got.content_type))
            except InputError:
                return
            if said is not None:
                feed.say(json.dumps(said))

        subscriber: Subscriber | None = None
        try:
            while True:
                subscriber = Subscriber(self._address, [str(Topic(node, c)) for c in _CHANNELS], receive, tls=self._tls)
                try:
                    await subscriber.start()
                except EdgeError as error:
                    feed.say(json.dumps({"kind": "problem", "message": error.message}))
                    await asyncio.sleep(_RETRY_S)
                    continue
                feed.say(json.dumps({"kind": "listening"}))
                await asyncio.Event().wait()
        finally:
            if subscriber is not None:
                await subscriber.stop()


def document_of(message: Message | None) -> dict[str, Any] | None:
    """Return what a page shows of a message, or None where it shows nothing."""
    if isinstance(message, ResultMessage):
        return {
            "kind": "result", "camera": message.camera, "frame": message.frame, "age_ms": message.age_ms,
            "at": message.captured_at.timestamp(), "text": result_text(dict(message.result)),
            "latency_ms": dict(message.latency_ms), "boxes": _boxes(message.result),
        }  # fmt: skip
    if isinstance(message, Telemetry):
        last = message.samples[-1]
        return {"kind": "telemetry", "at": last.at.timestamp(), "fps": last.fps, "age_p95_ms": last.age_ms.p95}
    if isinstance(message, State):
        return {"kind": "state", "state": message.state}
    if isinstance(message, Event):
        return {"kind": "event", "name": message.name, "severity": message.severity, "message": message.message}
    if isinstance(message, Reply):
        return {"kind": "reply", "id": message.id}
    return None


def _boxes(result: Mapping[str, Any]) -> list[list[Any]] | None:
    """Return `[left, top, right, bottom, words]` of each object, in pixels of the camera's frame; None where none are told.

    The document comes from the network: what is no box is left out.
    """
    objects = result.get("objects")
    if not isinstance(objects, list):
        return None
    found = []
    for one in objects[:_MOST_BOXES]:
        box = one.get("box") if isinstance(one, dict) else None
        if isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) and abs(v) < 1e6 for v in box):
            score = one.get("score")
            words = f"{one.get('label')} {score:.2f}" if isinstance(score, (int, float)) else str(one.get("label"))
            found.append([*(round(float(v), 1) for v in box), words[:_LABEL_CHARACTERS]])
    return found
