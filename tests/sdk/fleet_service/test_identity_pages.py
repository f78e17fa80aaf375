"""A device's identity taken back by the page and by the API: by admins, written in the list, and noted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.taking_back import TakingBack
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.enrolments import StoredCertificate, add_certificate, list_certificates, node_row
from edgesdk_testkit.fleet_service import FleetService

STOLEN, LOST, UNLISTED = "local.cam-0001", "local.cam-0002", "local.cam-0004"
SERIALS = {STOLEN: "ab12", LOST: "cd34", UNLISTED: "ef56"}


@pytest.fixture(scope="module")
def admin(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("admin") as client:
        yield client


@pytest.fixture
def copy(service: FleetService, tmp_path: Path) -> Iterator[Path]:
    """Give the service an authority, whose list lies in a second place too."""
    made = Authority.create(tmp_path / "authority")
    service.parts.taking_back = TakingBack(made, (tmp_path / "crl.pem",))
    yield tmp_path / "crl.pem"
    service.parts.taking_back = None


@pytest.fixture(autouse=True, scope="module")
def _certificates(service: FleetService) -> None:
    with writing(service.engine) as connection:
        for node, serial in SERIALS.items():
            row = node_row(connection, node)
            assert row is not None
            add_certificate(
                connection, row[0], None, StoredCertificate(serial, node, serial, "pem", 1, 1, 1 << 45, None, "")
            )


def listed(place: Path) -> set[int]:
    return {one.serial_number for one in x509.load_pem_x509_crl(place.read_bytes())}


def test_an_administrator_takes_an_identity_back_on_the_page(
    service: FleetService, admin: httpx.Client, copy: Path
) -> None:
    assert "Take its identity back" in admin.get(f"/devices/{STOLEN}").text
    unsure = admin.post(f"/devices/{STOLEN}/revoke", data={"reason": "stolen"})
    assert (unsure.status_code, "Nothing was taken back." in unsure.text) == (400, True)
    assert not copy.exists()
    done = admin.post(f"/devices/{STOLEN}/revoke", data={"reason": "stolen", "sure": "on"})
    assert done.headers["location"] == f"/devices/{STOLEN}"
    assert admin.get(f"/api/v1/devices/{STOLEN}").json()["state"] == "revoked"
    assert listed(copy) == {int(SERIALS[STOLEN], 16)}
    page = admin.get(f"/devices/{STOLEN}").text
    assert "Take its identity back" not in page
    with reading(service.engine) as connection:
        assert [one.reason for one in list_certificates(connection, STOLEN)] == ["stolen"]
    (line,) = admin.get("/api/v1/audit?action=device.revoke").json()["entries"]
    assert (line["subject"], line["actor"], line["detail"]["reason"]) == (STOLEN, "admin", "stolen")


def test_the_api_says_what_became_of_it_and_what_the_broker_does_not_know(
    service: FleetService, admin: httpx.Client, copy: Path
) -> None:
    assert service.parts.taking_back is not None
    service.parts.taking_back = TakingBack(service.parts.taking_back.authority, (copy,), reload="/no/such/program")
    done = admin.post(f"/api/v1/devices/{LOST}/revoke", json={"reason": "lost"}).json()
    assert (done["revoked"], done["disconnected"]) == ([SERIALS[LOST]], False)
    assert "cannot be run" in done["problem"]
    assert int(SERIALS[LOST], 16) in listed(copy)
    # Once more finds nothing further to take back, and the page says what is still wrong.
    again = admin.post(f"/devices/{LOST}/revoke", data={"sure": "on"})
    assert (again.status_code, "the broker does not know it yet" in again.text) == (503, True)


def test_a_list_that_cannot_be_written_is_said_and_noted(
    service: FleetService, admin: httpx.Client, copy: Path, tmp_path: Path
) -> None:
    assert service.parts.taking_back is not None
    place = tmp_path / "a-file" / "crl.pem"
    place.parent.write_text("no folder")
    service.parts.taking_back = TakingBack(service.parts.taking_back.authority, (place,))
    done = admin.post(f"/api/v1/devices/{UNLISTED}/revoke", json={"reason": "sold"})
    assert (done.status_code, done.json()["revoked"]) == (200, [SERIALS[UNLISTED]])
    assert done.json()["problem"]
    assert admin.get(f"/api/v1/devices/{UNLISTED}").json()["state"] == "revoked"
    lines = admin.get("/api/v1/audit?action=device.revoke").json()["entries"]
    assert [(one["outcome"], one["detail"]["reason"]) for one in lines if one["subject"] == UNLISTED] == [
        ("failed", "sold")
    ]


def test_a_device_that_is_not_there_is_said(admin: httpx.Client, copy: Path) -> None:
    assert admin.post("/api/v1/devices/local.nobody/revoke", json={}).status_code == 404


def test_without_an_authority_it_is_said_where_to_do_it(service: FleetService, admin: httpx.Client) -> None:
    assert "edgesdk fleet revoke local.cam-0003" in admin.get("/devices/local.cam-0003").text
    refused = admin.post("/api/v1/devices/local.cam-0003/revoke", json={})
    assert (refused.status_code, refused.json()["error"]["hint"]) == (
        503, "edgesdk fleet revoke local.cam-0003 --authority DIR",
    )  # fmt: skip


def test_operators_may_not(service: FleetService, copy: Path) -> None:
    with service.logged_in("operator") as operator:
        assert operator.post("/api/v1/devices/local.cam-0003/revoke", json={}).status_code == 403
        assert operator.post("/devices/local.cam-0003/revoke", data={"sure": "on"}).status_code == 403
        assert "Take its identity back" not in operator.get("/devices/local.cam-0003").text
