"""When a certificate is renewed, what an identity is on disk, and what is not loaded for it."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgesdk.fleet.enrol.authority import Authority
from edgesdk_agent.enrol.device_key import DeviceKey
from edgesdk_agent.enrol.fleet_server import checked_url
from edgesdk_agent.enrol.identity_files import IdentityFacts, IdentityFiles
from edgesdk_agent.enrol.renewal import Renewal, due_in_s, renewal_for
from edgesdk_targets.enrolment import Certified
from edgesdk_targets.errors import DeviceError, InputError
from edgesdk_targets.topics import Node

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
FACTS = IdentityFacts(
    node="shop.a", server="https://127.0.0.1:1", pinned=False, not_before=START, not_after=START + timedelta(days=90)
)


def identity(folder: Path) -> IdentityFiles:
    files = IdentityFiles(folder / "identity")
    certified = Certified(
        node="shop.a", certificate="-----BEGIN CERTIFICATE-----\nx", authority="ca", not_before=START,
        not_after=START + timedelta(days=90),
    )  # fmt: skip
    files.keep(b"key\n", certified, server="https://127.0.0.1:1", pinned=False)
    return files


def test_it_is_time_after_two_thirds() -> None:
    assert due_in_s(FACTS, START) == 60 * 86_400
    assert due_in_s(FACTS, START + timedelta(days=60)) == 0
    assert due_in_s(FACTS, START + timedelta(days=89)) < 0


def test_a_fleet_that_is_away_is_asked_again_more_often_towards_the_end(tmp_path: Path) -> None:
    files = identity(tmp_path)
    key = DeviceKey()
    issued = Authority.create(tmp_path / "authority").sign_device(key.request().encode(), Node("a", "shop"))
    files.device.write_bytes(key.pem + issued.pem.encode())
    waits = []
    # Nobody listens at the fleet's address.
    for day in (1, 61, 89):
        now = START + timedelta(days=day)
        renewal = Renewal(files, None, now=lambda now=now: now, retry_s=lambda left: left)  # type: ignore[misc]
        waits.append(renewal._step())
    assert waits[0] == pytest.approx(6 * 3600, abs=1)
    assert waits[1] == 29 * 86_400, "what is left is what the delay goes by"
    assert waits[2] == 86_400


def test_an_identity_is_read_back_and_its_files_are_for_nobody_else(tmp_path: Path) -> None:
    files = identity(tmp_path)
    assert files.facts().node == "shop.a"
    assert files.key_and_certificate() == (b"key\n", "-----BEGIN CERTIFICATE-----\nx")
    assert files.device.stat().st_mode & 0o777 == 0o600
    assert files.folder.stat().st_mode & 0o777 == 0o700


def test_a_certificate_from_elsewhere_is_not_renewed(tmp_path: Path) -> None:
    files = identity(tmp_path)
    assert renewal_for(None, None) is None
    assert renewal_for(tmp_path / "client.pem", None) is None
    assert renewal_for(files.folder / "other.pem", None) is None
    assert renewal_for(files.device, None) is not None


def test_a_damaged_identity_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no identity"):
        IdentityFiles(tmp_path).facts()
    with pytest.raises(DeviceError):
        DeviceKey(b"no key")
    with pytest.raises(DeviceError):
        DeviceKey().proof("GET", "/", b"", certificate_pem="-----BEGIN CERTIFICATE-----\nx", at=1)


@pytest.mark.parametrize(
    "url", ["http://x", "https://", "https://x/path", "https://u:p@x", "https://x:0", "https://x\r\n", "x"]
)
def test_what_is_no_address_of_a_fleet_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        checked_url(url)
    assert checked_url("https://fleet.example.org:8443/") == "https://fleet.example.org:8443"


def test_an_agent_that_runs_loads_no_cryptography_for_its_renewal() -> None:
    code = "import edgesdk_agent.main, edgesdk_agent.enrol.renewal, sys; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
