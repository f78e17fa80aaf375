"""Every address of a fleet's service, asked by schemathesis: what its description allows, and what it does not.

Pages and enrolment are asked like the API. Live streams are left out: an answer that never ends is no answer to wait for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from sqlalchemy import update

from edgesdk.fleet.broker import Broker
from edgesdk.fleet.enrol.api import enrolment_router
from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
from edgesdk.fleet.enrol.claims import EnrolmentDesk
from edgesdk.fleet.enrol.taking_back import TakingBack
from edgesdk.fleet.service.security.secrets_of_requests import new_api_token, stored_form
from edgesdk.fleet.store.engine import open_store, writing
from edgesdk.fleet.store.tables import api_tokens
from edgesdk_testkit.brokers import PATIENCE_S
from edgesdk_testkit.fleet_seed import seed as seed_store
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.required import needed

# Rows and names that `fleet_seed` writes; without them nearly every answer would be that there is no such thing.
KNOWN: Mapping[str, str | int] = {"path.node": "local.cam-0000", "path.row": 1, "path.name": "operator"}
PHASES = ("examples", "coverage", "fuzzing")
# Numbers of the tokens that ask begin here: what withdraws tokens by invented numbers does not hit on them.
_OUR_TOKENS = 987_654_321


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What became of one run.

    Attributes:
        operations: methods of addresses that were asked; cases: requests.
        failures: `GET /path`, each once, that answered with 5xx.
        accepted: requests by operation that were answered with 2xx.
    """

    operations: int
    cases: int
    failures: tuple[str, ...]
    accepted: Mapping[str, int]
    output: str


def fuzz(
    service: FleetService, folder: Path, *, examples: int, seed: int = 1, phases: tuple[str, ...] = ("fuzzing",),
    known: Mapping[str, str | int] | None = None, only: str = "", timeout_s: float = 120,
) -> Fuzzed:  # fmt: skip
    """Ask a running service, as an administrator's token.

    Args:
        examples: requests of each operation and phase, at most.
        known: values of parameters that are taken instead of invented ones.
        only: the one path that is asked.
    """
    needed("schemathesis")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "description.json").write_text(json.dumps(whole_description(service.app)))
    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in (known or {}).items()]
    (folder / "schemathesis.toml").write_text("\n".join(["[parameters]", *lines]) + "\n")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "description.json",
        "--url", service.url, "--header", f"Authorization: Bearer {_token_of_admin(service)}",
        "--checks", "not_a_server_error", "--phases", ",".join(phases), "--max-examples", str(examples),
        "--seed", str(seed), "--exclude-path-regex", "/live$", "--continue-on-failure", "--request-timeout", "20",
        "--generation-database", "none", "--report", "json", "--report-json-path", "report.json",
        *(("--include-path", only) if only else ()),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert (folder / "report.json").exists(), done.stdout + done.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert report["complete"], done.stdout
    assert not report["errors"], done.stdout
    accepted = {
        operation: sum(phase["accepted"] for phase in rates.values())
        for operation, rates in report["valid_rates"].items()
    }
    failures = tuple(sorted({operation for one in report["failures"] for operation in one["operations"]}))
    assert bool(failures) == (done.returncode != 0), done.stdout
    return Fuzzed(report["operations"]["tested"], report["test_cases"]["generated"], failures, accepted, done.stdout)


@contextmanager
def fuzzed_service(folder: Path, *, open_routers: Sequence[APIRouter] = ()) -> Iterator[FleetService]:
    """Run a service with everything in it: devices, people, a broker that commands go to, enrolment."""
    folder.mkdir(parents=True, exist_ok=True)
    with Broker(port=0) as broker:
        store = folder / "fleet.db"
        engine = open_store(store)
        authority = Authority.create(folder / "authority")
        desk = EnrolmentDesk(engine, authority, "mqtts://localhost:8883", BundleShelf(None))
        service = FleetService(folder, broker=broker.address, open_routers=[enrolment_router(desk), *open_routers])
        service.parts.taking_back = TakingBack(authority, (folder / "crl.pem",))
        seed_store(service.engine, 12, minutes=5, media=service.media)
        for role in ("admin", "operator"):
            service.add_user(role)
        with service:
            commander = service.parts.commander
            assert commander is not None
            deadline, waiting = time.monotonic() + PATIENCE_S, threading.Event()
            while not commander.connected:
                assert time.monotonic() < deadline, "no connection to the broker"
                waiting.wait(0.02)
            yield service
        engine.dispose()


def whole_description(app: FastAPI) -> dict[str, Any]:
    """Describe every route of an application, also those that its own description leaves out: pages, files."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    hidden = [route for route in routes if not route.include_in_schema]
    for route in hidden:
        route.include_in_schema = True
    try:
        return get_openapi(title="everything", version="1", routes=routes)
    finally:
        for route in hidden:
            route.include_in_schema = False


def _token_of_admin(service: FleetService) -> str:
    people, token = service.parts.access.people, new_api_token()
    user = next(user for user in people.all() if user.role == "admin")
    number = people.add_token(
        stored_form(token), user.id, name="fuzz", role="admin", prefix=token[:14], now=time.time(), expires=None
    )
    with writing(service.engine) as connection:
        connection.execute(update(api_tokens).where(api_tokens.c.id == number).values(id=_OUR_TOKENS + number))
    return token
