"""Runs a service until told to stop: its parts wired once, uvicorn, and the collector beside it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Engine

from edgesdk.fleet.service.collector_process import CollectorProcess, unrecorded
from edgesdk.fleet.service.commander import Commander
from edgesdk.fleet.service.live.fleet_feed import FleetFeed
from edgesdk.fleet.service.live.node_feed import NodeFeeds
from edgesdk.fleet.service.parts import Parts
from edgesdk.fleet.service.security.access import Access, Limits
from edgesdk.fleet.store.audit import AuditLog
from edgesdk.fleet.store.people import People
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra

# After Ctrl-C, live streams are cut rather than waited for.
_GOODBYE_S = 3


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How a service listens.

    Attributes:
        host, port: 0 takes a free port.
        certificate, key: PEM files, for HTTPS; https: also without them where a proxy in front speaks it.
    """

    host: str = "127.0.0.1"
    port: int = 8480
    certificate: Path | None = None
    key: Path | None = None
    https: bool = False

    @property
    def secure(self) -> bool:
        return self.https or self.certificate is not None

    def url(self, port: int) -> str:
        """Return where a browser on this machine finds it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared with, not bound)
        host = everywhere.get(self.host, self.host)
        scheme = "https" if self.certificate is not None else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


@dataclass(slots=True)
class Service:
    """One service: its parts and what runs beside it.

    Attributes:
        collector: None where another process collects.
        background: what else runs until the event that it is given is set, such as the alerts' rounds.
        open_routers: routes that ask for a proof of their own, such as enrolment.
    """

    parts: Parts
    settings: ServeSettings
    collector: CollectorProcess | None = None
    background: list[Callable[[asyncio.Event], Any]] = field(default_factory=list)
    open_routers: list[APIRouter] = field(default_factory=list)
    version: str = ""

    async def run(self, ready: Callable[[str], None]) -> None:
        """Answer until SIGINT or SIGTERM; `ready` is called with the address when it does.

        Raises:
            InputError: the address cannot be listened at.
            MissingExtra: uvicorn is not installed.
        """
        try:
            import uvicorn
        except ImportError as error:
            raise MissingExtra("uvicorn", "fleet") from error
        from edgesdk.fleet.service.app import make_app

        listener = _listen(self.settings.host, self.settings.port)
        app = make_app(self.parts, https=self.settings.secure, open_routers=self.open_routers, version=self.version)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False,
            ssl_certfile=self.settings.certificate, ssl_keyfile=self.settings.key, timeout_graceful_shutdown=_GOODBYE_S,
            # Who it was stands in the audit log: only a proxy on this machine may say so for others.
            proxy_headers=self.settings.https, forwarded_allow_ips="127.0.0.1", lifespan="on",
            h11_max_incomplete_event_size=32 * 1024,
        )  # fmt: skip
        server = uvicorn.Server(config)
        # Signals are ours: the collector has to be told as well.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        answering = asyncio.create_task(server.serve(sockets=[listener]))
        beside = [asyncio.create_task(self.collector.run(stop))] if self.collector is not None else []
        beside += [asyncio.create_task(part(stop)) for part in self.background]
        stopped = asyncio.create_task(stop.wait())
        try:
            while not server.started and not answering.done():  # noqa: ASYNC110  (uvicorn has no event for it)
                await asyncio.sleep(0.01)
            if not server.started:
                await answering
                raise EdgeError("The service did not start.", hint="The reason stands above.")
            ready(self.settings.url(listener.getsockname()[1]))
            await asyncio.wait([answering, stopped, *beside], return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done():
                    task.result()
        finally:
            stop.set()
            server.should_exit = True
            await asyncio.gather(answering, *beside, return_exceptions=True)
            stopped.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            listener.close()


def make_parts(
    engine: Engine, media: Path, *, broker: BrokerAddress | None = None, tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> Parts:  # fmt: skip
    """Return the parts of a service on a store."""
    feeds = None if broker is None else NodeFeeds(broker, tls=tls)

    def told(node: str, command: str) -> None:
        if feeds is not None:
            feeds.tell(node, {"kind": "reply", "id": command})

    collecting: dict[str, Any] = {}
    return Parts(
        engine=engine, access=Access(People(engine), limits=limits), audit=AuditLog(engine), media=media,
        fleet_feed=FleetFeed(engine, lambda: unrecorded(collecting)), collecting=collecting,
        commander=None if broker is None else Commander(broker, engine, tls=tls, told=told), node_feeds=feeds,
        broker=broker, tls=tls,
    )  # fmt: skip


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(256)
    except PermissionError as error:
        raise InputError(f"Port {port} needs the rights of an administrator.", hint="Take one above 1023.") from error
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Nothing can listen at {host}:{port}: {getattr(error, 'strerror', None) or error}.",
            hint="Another service may run there: give another --port, or 0 for a free one.",
        ) from error
    listener.setblocking(False)
    return listener
