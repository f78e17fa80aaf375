"""What is wanted of devices, at the broker: the desired states that it keeps are brought to what the engine wants.

By levels: whatever the broker keeps is compared with what is wanted now, and said anew where it differs. So nothing is
lost by a restart of either side, and what else is wanted of a device stays in its document.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from pydantic import ValidationError

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.messages import Desired, decode, encode, topic_of
from edgesdk_targets.topics import Channel, Topic, every_device

_log = logging.getLogger("edgesdk.fleet.rollout")
_RETRY_S = 2.0
# What the broker keeps comes at once after the subscription; then it is quiet.
_QUIET_S = 0.5
# What was said and never came back is said again.
_AGAIN_S = 15.0
_AT_ONCE = 200


class Wishes:
    """One connection to the broker that knows every device's desired state.

    Args:
        address: the broker; tls: where the address says TLS.
    """

    def __init__(self, address: BrokerAddress, *, tls: ssl.SSLContext | None = None) -> None:
        self._address, self._tls = address, tls
        self._kept: dict[str, Desired] = {}
        # What was said last, when, and under which version.
        self._said: dict[str, tuple[Mapping[str, Any], float, int]] = {}
        self._came = asyncio.Event()
        self._told = False
        self._subscriber: Subscriber | None = None
        self._connections = 0

    async def __aenter__(self) -> Wishes:  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscriber is not None:
            await self._subscriber.stop()

    async def connected(self, stop: asyncio.Event) -> None:
        """Return once the broker has told what it keeps, or `stop` is set."""
        while self._subscriber is None and not stop.is_set():
            subscriber = Subscriber(
                self._address, [every_device(Channel.DESIRED)], self._receive, tls=self._tls, on_connect=self._anew
            )
            try:
                await subscriber.start()
            except EdgeError as error:
                _log.warning("Roll-outs wait for the broker: %s", error.message)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), _RETRY_S)
                continue
            self._subscriber = subscriber
            await self.told()

    async def told(self) -> None:
        """Return once the broker has told what it keeps, on each connection anew; at once while it is away."""
        if self._subscriber is not None and self._subscriber.subscribed and not self._told:
            # Said first: a connection that begins meanwhile takes it back.
            self._told = True
            await self._quiet()

    @property
    def connection(self) -> int | None:
        """The number of the present connection; None while there is none."""
        return self._connections if self._subscriber is not None and self._subscriber.connected else None

    def kept(self) -> dict[str, Desired]:
        """Return each device's desired state, as the broker has it."""
        return dict(self._kept)

    def want(self, updates: Mapping[str, Mapping[str, Any]], answered: Mapping[str, int]) -> None:
        """Say what is wanted where the broker has something else.

        Args:
            updates: by device.
            answered: the version that each has answered, which a new one must exceed, whatever the broker lost.
        """
        if self._subscriber is None or not self._subscriber.connected or not self._told:
            return
        now, said = time.monotonic(), 0
        for node, update in updates.items():
            known = self._kept.get(node)
            heard = answered.get(node, 0)
            # A device passes over what is older than what it has answered.
            in_force = known if known is not None and known.version >= heard else None
            if in_force is not None and in_force.state.get("update") == update:
                continue
            before, at, number = self._said.get(node, ({}, 0.0, 0))
            if said >= _AT_ONCE or (before == update and number > heard and now - at < _AGAIN_S):
                continue
            version = 1 + max(known.version if known is not None else 0, heard)
            state = {**(known.state if known is not None else {}), "update": dict(update)}
            try:
                document = Desired(node=node, at=datetime.now(timezone.utc), version=version, state=state)
                body = encode(document)
            except (ValidationError, EdgeError) as error:
                # Such as a version that the device has driven to its end: it is one device's trouble, and no other's.
                _log.warning("%s cannot be told what is wanted of it (version %d): %s", node, version, error)
                self._said[node] = (update, now, version)
                continue
            try:
                self._subscriber.publish(
                    str(topic_of(document)), body.payload, content_type=body.content_type, retain=True
                )
            except OverflowError:
                # The broker takes no more at once: the rest with the next look.
                return
            self._said[node], said = (update, now, version), said + 1

    def _anew(self) -> None:
        """Forget what another connection told: a broker that was restarted may keep nothing of it."""
        self._kept.clear()
        self._said.clear()
        self._told = False
        self._connections += 1

    def _receive(self, got: Received) -> None:
        self._came.set()
        try:
            if not got.payload:
                # Somebody took it away.
                node = str(Topic.parse(got.topic).node)
                self._kept.pop(node, None)
                self._said.pop(node, None)
                return
            message = decode(got.topic, got.payload, got.content_type)
        except InputError:
            return
        if isinstance(message, Desired):
            self._kept[message.node] = message

    async def _quiet(self) -> None:
        while True:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), _QUIET_S)
            except asyncio.TimeoutError:
                return
