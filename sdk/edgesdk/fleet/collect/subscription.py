"""The recorder's place at the broker, kept for as long as it runs: each connection is a new one, and subscribes anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time

from edgesdk.fleet.collect.mqtt_connection import Connection, OnMessage, Session
from edgesdk.fleet.gmqtt_client import Room
from edgesdk.fleet.subscriber import in_flags
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem

log = logging.getLogger(__name__)

_OPEN_TIMEOUT_S = 10.0
_RETRY_FIRST_S = 0.2
_RETRY_LIMIT_S = 5.0
_STEADY_AFTER_S = 3.0


class Subscription:
    """Hands over what is said, and says what it is told to.

    Args:
        address: the broker.
        session: who we are there, and what we subscribe to.
        on_message: takes each message, and returns what is done when it may be acknowledged; it must not raise.
        where: messages are read while it has room; without it, none connects anew.
        tls: needed where the address says TLS.
    """

    def __init__(
        self,
        address: BrokerAddress,
        session: Session,
        on_message: OnMessage,
        where: Room,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._session = session
        self._on_message = on_message
        self._where = where
        self._tls = ssl.create_default_context() if address.tls and tls is None else tls
        self._connection: Connection | None = None
        self._closed = False
        self.connections = 0
        # Why there is no connection; None while there is one.
        self.problem: BrokerProblem | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def start(self, *, wait: bool = False) -> None:
        """Connect and subscribe for the first time.

        Args:
            wait: try again where time can mend what is wrong.

        Raises:
            NotConnected: the broker does not take us.
            MissingExtra: gmqtt is not installed.
        """
        problem = await self._connect()
        if problem is not None and (problem.permanent or not wait):
            raise problem.error()

    async def run(self) -> None:
        """Keep connected, as long as it is not cancelled."""
        delay_s = _RETRY_FIRST_S
        while not self._closed:
            if self._connection is not None:
                since = time.monotonic()
                await self._connection.wait_lost()
                await self._drop()
                # One that is dropped at once, again and again, is waited for ever longer.
                if time.monotonic() - since > _STEADY_AFTER_S:
                    delay_s = _RETRY_FIRST_S
            # Not all recorders at once, after a broker's restart.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
            delay_s = min(2 * delay_s, _RETRY_LIMIT_S)
            # On a new connection all comes again that is read and not acknowledged.
            await self._where.room()
            if not self._closed and await self._connect() is None:
                log.info("Connected to %s again", self._address)

    async def publish(self, topic: str, payload: bytes, *, content_type: str, expiry_s: int) -> bool:
        """Say something when there is room; False where there is no connection."""
        connection = self._connection
        return connection is not None and await connection.publish(
            topic, payload, content_type=content_type, expiry_s=expiry_s
        )

    async def close(self) -> None:
        """Disconnect, and try no more."""
        self._closed = True
        await self._drop()

    async def _connect(self) -> BrokerProblem | None:
        connection = Connection(self._address, self._session, self._on_message, self._where, self._tls)
        problem = await connection.open(_OPEN_TIMEOUT_S)
        problem = None if problem is None else in_flags(problem)
        if problem is None and not self._closed:
            self._connection = connection
            self.connections += 1
            if self.problem is not None:
                log.info("Connected to %s", self._address)
        else:
            await connection.close()
        if problem is not None and (self.problem is None or problem.message != self.problem.message):
            # Once for each new reason: a broker that is away for a week must not fill the log.
            log.warning("%s %s", problem.message, problem.hint)
        self.problem = problem
        return problem

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await connection.close()
