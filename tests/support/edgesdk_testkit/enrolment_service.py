"""The enrolment endpoints behind a real HTTPS server on loopback, on a store and an authority of their own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
from edgesdk.fleet.enrol.claims import EnrolmentDesk
from edgesdk.fleet.enrol.install_line import Service, pin_of
from edgesdk.fleet.enrol.joining_limits import JoiningLimits
from edgesdk.fleet.enrol.orders import Order, make_enrolments
from edgesdk.fleet.enrol.wheelhouses import Wheelhouses
from edgesdk.fleet.service.security.rate_limit import Rate, RateLimit
from edgesdk.fleet.store.engine import open_store
from edgesdk_testkit.brokers import PATIENCE_S


@dataclass
class EnrolmentService:
    """A running service.

    Attributes:
        noted, noted_on: what the audit log was told, and on which threads.
        thread: on which everybody is answered.
        ahead_s: how far the service's clock is ahead of the real one.
    """

    engine: Engine
    authority: Authority
    desk: EnrolmentDesk
    service: Service
    noted: list[tuple[str, ...]] = field(default_factory=list)
    noted_on: set[threading.Thread] = field(default_factory=set)
    thread: threading.Thread | None = None
    ahead_s: float = 0.0

    @property
    def url(self) -> str:
        return self.service.url

    def token(self, node: str, *, ttl_s: float = 600.0, again: bool = False, **more: Any) -> str:
        order = Order(node=node, **more)
        (made,) = make_enrolments(self.engine, [order], actor="test", ttl_s=ttl_s, again=again, now=self.clock())
        return made.token

    def clock(self) -> float:
        return time.time() + self.ahead_s


@contextlib.contextmanager
def enrolment_service(
    folder: Path,
    *,
    authority: Authority | None = None,
    broker: str = "mqtts://localhost:8883",
    bundles: Path | None = None,
    wheelhouse: Path | None = None,
    limits: JoiningLimits | None = None,
) -> Iterator[EnrolmentService]:
    """Run it; tests are refused more often than devices are, so that who tests the limits gives them."""
    import uvicorn
    from fastapi import FastAPI

    from edgesdk.fleet.enrol.api import enrolment_router

    folder.mkdir(parents=True, exist_ok=True)
    signer = authority or Authority.create(folder / "authority")
    pair = signer.server(["localhost", "127.0.0.1"])
    (folder / "service.crt").write_bytes(pair.certificate)
    (folder / "service.key").write_bytes(pair.key)
    engine = open_store(folder / "fleet.db")
    desk = EnrolmentDesk(engine, signer, broker, BundleShelf(bundles))
    running = EnrolmentService(engine, signer, desk, Service("https://localhost"))
    object.__setattr__(desk, "clock", running.clock)
    app = FastAPI()

    def note(*what: str) -> None:
        running.noted.append(what)
        running.noted_on.add(threading.current_thread())

    limits = limits or JoiningLimits(RateLimit(Rate(100_000, 100_000)), RateLimit(Rate(100_000, 100_000)))
    app.include_router(
        enrolment_router(desk, wheelhouses=Wheelhouses(wheelhouse), note=note, clock=running.clock, limits=limits)
    )
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", lifespan="off",
        ssl_certfile=str(folder / "service.crt"), ssl_keyfile=str(folder / "service.key"),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    running.thread = thread
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline, "the service does not start"
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    running.service = Service(f"https://localhost:{port}", pin_of(pair.certificate), signer.fingerprint)
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        engine.dispose()
