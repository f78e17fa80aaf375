"""Tells devices what to do, and hears what they answer: one connection to the broker for the whole service.

A command stands in the store before it is sent, so that it is seen whatever happens next. The connection comes back by
itself; what is asked meanwhile is refused at once, not kept for later: who presses a button wants it done now.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.service.replies import write_replies
from edgesdk.fleet.service.security.refusals import BadRequest, Unavailable
from edgesdk.fleet.store import command_log
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.trouble import Trouble
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, InputError, NotConnected
from edgesdk_targets.messages import Command, Encoded, Reply, decode, encode, topic_of
from edgesdk_targets.topics import Channel, every_device

_RETRY_S = 2.0
_EXPIRE_EVERY_S = 2.0
_MAX_WAITING_REPLIES = 10_000
# Written in one transaction; and marked as sent in one, so that a large command holds nobody's write up for long.
_WRITTEN_AT_ONCE = 500
_SENT_AT_ONCE = 500
# What is not for a button: these change who the device is, or what the agent would not do unasked.
MAX_DEVICES = 10_000
_log = logging.getLogger("edgesdk.fleet.service")


@dataclass(frozen=True, slots=True)
class _Made:
    """A command for one device, as it is stored and as it is sent; `node` is the device's row."""

    node: int
    command: Command
    topic: str
    body: Encoded


@dataclass(frozen=True, slots=True)
class _Answer:
    """A device's answer, and what is done when it is in the store."""

    reply: Reply
    kept: asyncio.Future[None]


class Commander:
    """Sends commands and keeps the answers.

    Args:
        address: the broker; tls: where the address says TLS.
        engine: of the store.
        told: is called with a device's name and the command's id when an answer is in the store.
    """

    def __init__(
        self,
        address: BrokerAddress,
        engine: Engine,
        *,
        tls: ssl.SSLContext | None = None,
        told: Callable[[str, str], None] = lambda _node, _id: None,
    ) -> None:
        self._address = address
        self._engine = engine
        self._tls = tls
        self._told = told
        self._subscriber: Subscriber | None = None
        self._replies: asyncio.Queue[_Answer] = asyncio.Queue(_MAX_WAITING_REPLIES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.problem = ""

    @property
    def connected(self) -> bool:
        return self._subscriber is not None and self._subscriber.connected

    def say(self, topic: str, payload: bytes, *, content_type: str, expires_s: int = 0, retain: bool = False) -> None:
        """Publish something else over this connection, from any thread; nothing where there is none."""
        subscriber, loop = self._subscriber, self._loop
        if subscriber is not None and loop is not None:
            loop.call_soon_threadsafe(
                partial(
                    subscriber.publish, topic, payload, content_type=content_type, expires_s=expires_s, retain=retain
                )
            )

    async def run(self) -> None:
        """Keep the connection and write the answers, until cancelled."""
        self._loop = asyncio.get_running_loop()
        parts = [asyncio.create_task(part) for part in (self._connect(), self._keep_replies(), self._expire())]
        try:
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            if self._subscriber is not None:
                await self._subscriber.stop()

    async def send(
        self, devices: Sequence[tuple[int, str]], verb: str, arguments: Mapping[str, Any], *, actor: str,
        within_s: float, selection: Mapping[str, Any] | None = None,
    ) -> tuple[list[str], int | None]:  # fmt: skip
        """Send a command to each device; return the commands' ids, and that of the whole where it is for many.

        Raises:
            BadRequest: this is no command.
            Unavailable: there is no connection to the broker, or it was lost on the way; what was not sent expires.
        """
        subscriber = self._subscriber
        if subscriber is None or not subscriber.connected:
            raise Unavailable("There is no connection to the broker.", hint="Look at its address, and whether it runs.")
        # Ten thousand are made and encoded in most of a second: on a thread, as everybody else waits for this one.
        try:
            made = await run_in_threadpool(_make, devices, verb, arguments, within_s)
        except ValueError as error:
            raise BadRequest("This is no command: look at the verb and its arguments.") from error
        bulk = await run_in_threadpool(self._write, made, verb, arguments, actor, selection)
        expires_s = max(1, int(within_s))
        for first in range(0, len(made), _SENT_AT_ONCE):
            part = made[first : first + _SENT_AT_ONCE]
            try:
                for one in part:
                    await subscriber.publish_in_turn(
                        one.topic, one.body.payload, content_type=one.body.content_type, expires_s=expires_s
                    )
            except NotConnected as error:
                raise Unavailable(
                    f"The connection to the broker was lost after {first} of {len(made)} commands.",
                    hint="Those that were not sent expire. Look again, and send it again to the others.",
                ) from error
            await run_in_threadpool(self._note_sent, [one.command.id for one in part])
        return [one.command.id for one in made], bulk

    def _write(
        self, made: Sequence[_Made], verb: str, arguments: Mapping[str, Any], actor: str,
        selection: Mapping[str, Any] | None,
    ) -> int | None:  # fmt: skip
        with writing(self._engine) as connection:
            created = _ms(made[0].command.at)
            bulk = None
            if selection is not None:
                bulk = command_log.add_bulk(
                    connection, verb=verb, arguments=arguments, selection=selection, devices=len(made), actor=actor,
                    at_ms=created,
                )  # fmt: skip
            command_log.add_commands(
                connection,
                [
                    {
                        "id": one.command.id, "node": one.node, "bulk": bulk, "verb": verb,
                        "arguments": dict(arguments), "actor": actor, "created_ms": created,
                        "deadline_ms": _ms(one.command.deadline),
                    }
                    for one in made
                ],
            )  # fmt: skip
        return bulk

    def _note_sent(self, ids: Sequence[str]) -> None:
        with writing(self._engine) as connection:
            command_log.set_sent(connection, ids, _ms(datetime.now(timezone.utc)))

    async def _connect(self) -> None:
        while True:
            subscriber = Subscriber(self._address, [every_device(Channel.REPLY)], self._receive, tls=self._tls)
            try:
                await subscriber.start()
            except EdgeError as error:
                self.problem = error.message
                await asyncio.sleep(_RETRY_S)
                continue
            self._subscriber, self.problem = subscriber, ""
            # From here on it comes back by itself.
            await asyncio.Event().wait()

    def _receive(self, got: Received) -> asyncio.Future[None] | None:
        """Take a message; the broker hears that we have it when what is returned is done."""
        try:
            message = decode(got.topic, got.payload, got.content_type)
        except InputError:
            return None
        if not isinstance(message, Reply) or self._replies.full():
            # Full only of what was sent without asking for an acknowledgement; of the rest the broker sends a window.
            return None
        answer = _Answer(message, asyncio.get_running_loop().create_future())
        self._replies.put_nowait(answer)
        return answer.kept

    async def _keep_replies(self) -> None:
        while True:
            answers = [await self._replies.get()]
            while not self._replies.empty() and len(answers) < _WRITTEN_AT_ONCE:
                answers.append(self._replies.get_nowait())
            for node, command in await self._kept([answer.reply for answer in answers]):
                self._told(node, command)
            for answer in answers:
                if not answer.kept.done():
                    answer.kept.set_result(None)

    async def _kept(self, replies: Sequence[Reply]) -> list[tuple[str, str]]:
        """Write answers, however long the store is locked; return the devices and commands of what is new."""
        while True:
            try:
                return await run_in_threadpool(write_replies, self._engine, replies)
            except StoreBusy as error:
                _log.warning("answers to commands wait for the store: %s", error.message)
                await asyncio.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001  # a task's top: a store that is broken must not end what else runs here
                _log.exception("answers to commands could not be written")
                return []

    async def _expire(self) -> None:
        trouble = Trouble(_log, "Marking commands as expired")
        while True:
            await asyncio.sleep(_EXPIRE_EVERY_S)
            try:
                await run_in_threadpool(self._expire_now)
                trouble.over()
            except Exception as error:  # noqa: BLE001  # a thread's top: a locked store is tried again
                trouble.say(error)

    def _expire_now(self) -> None:
        with writing(self._engine) as connection:
            command_log.expire(connection, _ms(datetime.now(timezone.utc)))


def _make(devices: Sequence[tuple[int, str]], verb: str, arguments: Mapping[str, Any], within_s: float) -> list[_Made]:
    now = datetime.now(timezone.utc)
    deadline = now + timedelta(seconds=within_s)
    made = []
    for node, name in devices:
        command = Command.model_validate({
            "node": name, "at": now, "id": secrets.token_hex(8), "verb": verb, "arguments": dict(arguments),
            "deadline": deadline,
        })  # fmt: skip
        made.append(_Made(node, command, str(topic_of(command)), encode(command)))
    return made


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
