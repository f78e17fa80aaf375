"""A real fleet service: uvicorn on a free port of this machine, a real SQLite file, and clients that log in as people do."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter
from typing_extensions import Self

from edgesdk.fleet.alerts.channel_settings import Seal
from edgesdk.fleet.service.app import make_app
from edgesdk.fleet.service.security.access import Limits
from edgesdk.fleet.service.security.login_limits import LoginLimits
from edgesdk.fleet.service.security.passwords import hash_password
from edgesdk.fleet.service.security.principal import SESSION_COOKIE
from edgesdk.fleet.service.security.rate_limit import Rate, RateLimit
from edgesdk.fleet.service.serve import make_parts
from edgesdk.fleet.store.engine import open_store
from edgesdk_targets.broker_address import BrokerAddress

PASSWORD = "correct horse battery"


class FleetService:
    """Answers while entered; never left running.

    Args:
        db: the store, where it is not a file in the folder.
        open_routers: as `make_app` takes them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        broker: BrokerAddress | None = None,
        limits: Limits | None = None,
        open_routers: Sequence[APIRouter] = (),
        db: str = "",
    ) -> None:
        # Tests log in more often than people do; who tests the limits gives them.
        often = Rate(1_000_000, 1_000_000)
        limits = limits or Limits(LoginLimits(often, often, often), RateLimit(often), RateLimit(often))
        self.engine = open_store(db or folder / "fleet.db")
        self.media = folder / "media"
        self.parts = make_parts(self.engine, self.media, broker=broker, limits=limits)
        self.parts.seal = Seal.in_file(folder / "seal.key")
        self.app = make_app(self.parts, open_routers=open_routers)
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, port=0, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        waiting = threading.Event()
        while not self._server.started and self._thread.is_alive():
            waiting.wait(0.01)
        assert self._server.started, "the service does not start"
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self.engine.dispose()
        assert not self._thread.is_alive(), "the service does not end"

    def add_user(self, role: str, name: str = "") -> str:
        """Write a user into the store; return the name."""
        name = name or role
        self.parts.access.people.add(name, role, hash_password(PASSWORD))
        return name

    def client(self, **options: Any) -> httpx.Client:
        """Return a client without a session."""
        return httpx.Client(base_url=self.url, timeout=20, **options)

    def logged_in(self, name: str) -> httpx.Client:
        """Return a client that has logged in by the page's form, and sends the CSRF token."""
        with self.client() as entering:
            form = {"csrf": csrf_of(entering.get("/login").text), "name": name, "password": PASSWORD, "next": "/"}
            answer = entering.post("/login", data=form)
            assert answer.status_code == 303, answer.text
            token = csrf_of(entering.get("/account").text)
            cookie = entering.cookies[SESSION_COOKIE]
        return self.client(cookies={SESSION_COOKIE: cookie}, headers={"x-csrf-token": token})


def csrf_of(page: str) -> str:
    """Return the CSRF token of a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]
