"""The service on a bad day: the store is locked, full or gone, the broker is away, a clock is far off. It answers in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from edgesdk.fleet.store.ingest import Ingest
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.brokers import free_port
from edgesdk_testkit.fleet_seed import seed
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.reports import birth, reading_of, telemetry

# By the broker's side of the fleet, later than any device's clock of today.
FAR_MS = 4_000_000_000_000
CHANGE = {"title": "Front door"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    # A broker that is not there when the service starts.
    made = FleetService(tmp_path_factory.mktemp("fleet"), broker=BrokerAddress("127.0.0.1", free_port()))
    seed(made.engine, 2, minutes=2)
    made.add_user("operator")
    with made:
        yield made


@pytest.fixture
def client(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("operator") as found:
        yield found


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 503, answer.text
    error = answer.json()["error"]
    assert error["hint"], "it says what to do"
    return str(error["message"])


def test_a_store_that_somebody_locks_is_read_and_not_written(service: FleetService, client: httpx.Client) -> None:
    lock = sqlite3.connect(str(service.engine.url.database), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        assert client.get("/api/v1/devices").status_code == 200
        assert client.get("/devices").status_code == 200
        assert "cannot answer" in said(client.patch("/api/v1/devices/local.cam-0000", json=CHANGE))
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert client.patch("/api/v1/devices/local.cam-0000", json=CHANGE).status_code == 200


def test_a_disk_that_is_full_costs_the_change_and_nothing_else(service: FleetService, client: httpx.Client) -> None:
    def full(connection: sqlite3.Connection, _record: object) -> None:
        # SQLite says the same of its own limit as of a disk's.
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    note = {"note": "x" * 4000}
    event.listen(service.engine, "connect", full)
    service.engine.dispose()
    try:
        answers = [client.patch(f"/api/v1/devices/local.cam-000{n % 2}", json=note) for n in range(4)]
        assert "cannot answer" in said(next(answer for answer in answers if answer.status_code != 200))
        assert client.get("/api/v1/devices/local.cam-0000").status_code == 200
    finally:
        event.remove(service.engine, "connect", full)
        service.engine.dispose()
    assert client.patch("/api/v1/devices/local.cam-0000", json=note).status_code == 200


def test_a_broker_that_is_away_is_said_of_commands_and_nothing_else_stops(client: httpx.Client) -> None:
    answer = client.post("/api/v1/commands", json={"node": "local.cam-0000", "verb": "birth"})
    assert "no connection to the broker" in said(answer)
    assert client.get("/api/v1/fleet").status_code == 200
    assert client.get("/devices/local.cam-0000").status_code == 200


def test_a_device_whose_clock_is_far_off_is_shown_and_breaks_no_page(tmp_path: Path) -> None:
    with FleetService(tmp_path) as service:
        store = Ingest(tmp_path / "fleet.db")
        for node, at_ms in (("local.future", FAR_MS), ("local.past", 1000)):
            store.commit(reading_of(birth(node, at_ms), telemetry(node, 1, at_ms)))
        store.close()
        service.add_user("viewer")
        with service.logged_in("viewer") as client:
            for path in ("/", "/devices", "/devices/local.future", "/devices/local.past", "/api/v1/fleet", "/metrics",
                         "/api/v1/devices/local.future/series", "/api/v1/fleet/series"):  # fmt: skip
                assert client.get(path).status_code == 200, path
            shown = {device["node"] for device in client.get("/api/v1/devices").json()["devices"]}
            assert shown == {"local.future", "local.past"}
