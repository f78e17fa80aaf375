"""Enrolment over real HTTPS: from the pasted line to a device that is online, and everything that is refused."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.install_line import install_line
from edgesdk.fleet.enrol.joining_limits import JoiningLimits
from edgesdk.fleet.enrol.revocation import revoke
from edgesdk.fleet.service.security.rate_limit import REFUSED_JOINING
from edgesdk.fleet.store import enrolments
from edgesdk.fleet.store.engine import reading
from edgesdk_agent.enrol.device_key import DeviceKey
from edgesdk_agent.enrol.enrol import Places, enrol
from edgesdk_agent.enrol.fleet_server import ClaimRefused, FleetServer, Holder
from edgesdk_agent.enrol.renewal import Renewal
from edgesdk_targets.enrolment import BundleToFetch
from edgesdk_targets.errors import EdgeError, FetchFailed, InputError
from edgesdk_targets.yaml_file import load_yaml
from edgesdk_testkit.enrolment_service import EnrolmentService, enrolment_service
from edgesdk_testkit.hardened_brokers import TlsClient, hardened_broker

pytestmark = pytest.mark.system
NODE = "shop.door-1"
CONFIG: dict[str, Any] = {
    "bundle": "tiny",
    "cameras": [{"name": "door", "source": "synthetic:?fps=10"}],
    "telemetry": {"interval_s": 1.0},
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edgesdk_testkit.tiny_bundles import write_tiny_bundle

    folder = tmp_path_factory.mktemp("shelf")
    write_tiny_bundle(folder / "tiny.edgebundle")
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Iterator[EnrolmentService]:
    with enrolment_service(tmp_path_factory.mktemp("service"), bundles=shelf) as running:
        yield running


def claim(service: EnrolmentService, token: str, home: Path, **more: Any) -> Any:
    more = {"ca_sha256": service.service.ca_sha256, **more}
    return enrol(service.url, token, Places.below(home), **more)


def test_a_device_gets_identity_bundle_and_configuration(
    service: EnrolmentService, tmp_path: Path, shelf: Path
) -> None:
    token = service.token(NODE, configuration=CONFIG, tags=("door",), site="berlin")
    claimed = claim(service, token, tmp_path)
    assert claimed.node == NODE
    written = load_yaml(tmp_path / "edgesdk.yaml").data
    assert written["device"] == {"name": "door-1", "tenant": "shop"}
    assert written["cameras"] == CONFIG["cameras"]
    assert Path(written["bundle"]).read_bytes() == (shelf / "tiny.edgebundle").read_bytes()
    for secret in ("identity/device.pem", "edgesdk.yaml"):
        assert (tmp_path / secret).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "identity/claiming.key").exists()
    assert ("enrol.claim", NODE, "ok", "127.0.0.1") in service.noted
    assert service.thread not in service.noted_on, "a line of the audit log is a write to the disk"
    with reading(service.engine) as connection:
        found = enrolments.list_enrolments(connection)
    assert token not in repr(found), "only a hash is kept"
    assert found[0].state(int(service.clock() * 1000)) == "used"


def test_a_token_is_good_once_and_not_when_late_or_taken_back(service: EnrolmentService, tmp_path: Path) -> None:
    used = service.token("shop.used", configuration=CONFIG)
    claim(service, used, tmp_path / "first")
    late = service.token("shop.late", configuration=CONFIG, ttl_s=-1)
    replaced = service.token("shop.again", configuration=CONFIG)
    service.token("shop.again", configuration=CONFIG)
    for token in (used, late, replaced, "enrol-" + "x" * 26, used[:-1]):
        with pytest.raises(ClaimRefused) as refused:
            claim(service, token, tmp_path / "second")
        assert refused.value.message == "The fleet refuses this.", "the same words for each reason"
    assert not (tmp_path / "second/edgesdk.yaml").exists()


def test_of_many_with_one_token_one_gets_it(service: EnrolmentService) -> None:
    token = service.token("shop.race", configuration=CONFIG)
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    won: list[str] = []
    refused: list[EdgeError] = []

    def run() -> None:
        try:
            won.append(fleet.claim(token, DeviceKey()).node)
        except ClaimRefused as error:
            refused.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert won == ["shop.race"]
    assert len(refused) == 7


def test_an_answer_that_was_lost_is_given_again_to_the_same_key_only(service: EnrolmentService) -> None:
    token = service.token("shop.lost", configuration=CONFIG)
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    key = DeviceKey()
    first = fleet.claim(token, key)
    assert fleet.claim(token, key).certificate == first.certificate
    with pytest.raises(ClaimRefused):
        fleet.claim(token, DeviceKey())


def test_a_name_that_is_taken_is_refused_when_it_is_ordered(service: EnrolmentService, tmp_path: Path) -> None:
    claim(service, service.token("shop.taken", configuration=CONFIG), tmp_path)
    with pytest.raises(InputError, match="taken"):
        service.token("shop.taken", configuration=CONFIG)
    again = service.token("shop.taken", configuration=CONFIG, again=True)
    with pytest.raises(InputError, match="already"):
        claim(service, again, tmp_path)
    assert claim(service, again, tmp_path, again=True).node == "shop.taken"


def test_who_guesses_tokens_is_not_listened_to_any_more(tmp_path: Path) -> None:
    with enrolment_service(tmp_path, limits=JoiningLimits()) as service:
        right = service.token("shop.guessed", configuration=CONFIG)
        fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
        for _ in range(REFUSED_JOINING.burst):
            with pytest.raises(ClaimRefused):
                fleet.claim("enrol-" + "x" * 26, DeviceKey())
        noted = len(service.noted)
        with pytest.raises(FetchFailed, match="try again in") as late:
            fleet.claim(right, DeviceKey())
        assert "still good" in (late.value.hint or ""), "the right token is not told from a wrong one by then"
        assert len(service.noted) == noted, "a flood does not fill the audit log"
        with reading(service.engine) as connection:
            assert enrolments.list_enrolments(connection)[0].state(int(service.clock() * 1000)) == "waiting"


def test_a_whole_site_behind_one_address_joins_in_a_rush() -> None:
    """Negative control: three hundred good claims within a moment are not taken for an attack."""
    limits = JoiningLimits()
    for _ in range(300):
        limits.ask("192.0.2.7")


def test_a_store_that_is_locked_costs_no_token(service: EnrolmentService) -> None:
    token = service.token("shop.locked", configuration=CONFIG)
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    lock = sqlite3.connect(str(service.engine.url.database), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(FetchFailed, match="cannot answer at present"):
            fleet.claim(token, DeviceKey())
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert fleet.claim(token, DeviceKey()).node == "shop.locked"


def test_a_fleet_that_is_another_one_is_not_talked_to(service: EnrolmentService, tmp_path: Path) -> None:
    token = service.token("shop.pin", configuration=CONFIG)
    with pytest.raises(ClaimRefused, match="not the fleet"):
        claim(service, token, tmp_path, ca_sha256="0" * 64)
    with pytest.raises(FetchFailed, match="not trusted"):
        claim(service, token, tmp_path, ca_sha256="")
    assert claim(service, token, tmp_path).node == "shop.pin", "the token was not shown to anybody"


def test_a_request_for_somebody_else_or_of_another_kind_is_refused(service: EnrolmentService) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    from edgesdk.fleet.enrol.certificate import new_key

    token = service.token("shop.csr", configuration=CONFIG)

    def pem(key: Any, name: str) -> str:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    wrong = [
        pem(new_key(), "shop.other"),
        pem(new_key(), "fleet"),
        pem(rsa.generate_private_key(65537, 2048), "shop.csr"),
        "no request at all",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    ]
    for request in wrong:
        assert post(service, "/enrol/claim", {"token": token, "request": request})[0] == 422
    status, said = post(service, "/enrol/claim", {"token": token, "request": pem(new_key(), "shop.csr")})
    assert status == 200, "the token stayed good"
    certificate = x509.load_pem_x509_certificate(said["certificate"].encode())
    assert certificate.subject.rfc4514_string() == "CN=shop.csr"
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [usage.dotted_string for usage in usages] == ["1.3.6.1.5.5.7.3.2"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token": 5}', b'{"token": "x"}', b"\xff\xfe", b"{}" * 30000])
def test_what_is_no_claim_is_refused_in_words(service: EnrolmentService, body: bytes) -> None:
    status, said = post(service, "/enrol/claim", body)
    assert status in (413, 422)
    assert said["error"]["message"]


def test_a_bundle_is_for_enrolled_devices_and_arrives_whole_or_not(service: EnrolmentService, tmp_path: Path) -> None:
    claimed = claim(service, service.token("shop.bundle", configuration=CONFIG), tmp_path)
    files = Places.below(tmp_path).identity
    key_pem, certificate = files.key_and_certificate()
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    path = f"/enrol/bundles/{claimed.bundle.sha256}"
    assert get(service, path)[0] == 403
    stranger = Holder(DeviceKey(), certificate)
    with pytest.raises(ClaimRefused):
        fleet.fetch(claimed.bundle, stranger, tmp_path / "stolen")
    holder = Holder(DeviceKey(key_pem), certificate)
    old = FleetServer(service.url, files.authority(), clock=lambda: service.clock() - 3600)
    with pytest.raises(ClaimRefused):
        old.fetch(claimed.bundle, holder, tmp_path / "replayed")
    shorter = BundleToFetch(name="x", sha256=claimed.bundle.sha256, size_bytes=claimed.bundle.size_bytes - 1)
    with pytest.raises(EdgeError, match="something else"):
        fleet.fetch(shorter, holder, tmp_path / "cut")
    assert not list(tmp_path.glob("*cut*")) + list(tmp_path.glob(".*part")) + list(tmp_path.glob(".writing*"))


def test_a_link_in_the_folder_of_the_service_is_not_followed_by_root(service: EnrolmentService, tmp_path: Path) -> None:
    """The folder is the service's user's, and root fetches into it: a link laid there leads root to no other file."""
    claimed = claim(service, service.token("shop.link", configuration=CONFIG), tmp_path)
    files = Places.below(tmp_path).identity
    key_pem, certificate = files.key_and_certificate()
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    victim, folder = tmp_path / "shadow", tmp_path / "bundles-of-the-service"
    victim.write_text("root:x")
    folder.mkdir()
    place = folder / "person.edgebundle"
    for name in (".person.edgebundle.part", "person.edgebundle"):
        (folder / name).symlink_to(victim)
    fleet.fetch(claimed.bundle, Holder(DeviceKey(key_pem), certificate), place)
    assert victim.read_text() == "root:x"
    assert place.is_file()
    assert not place.is_symlink()
    assert hashlib.sha256(place.read_bytes()).hexdigest() == claimed.bundle.sha256


def test_a_certificate_is_renewed_and_the_old_identity_is_gone_when_it_is_revoked(
    service: EnrolmentService, tmp_path: Path
) -> None:
    claim(service, service.token("shop.renew", configuration=CONFIG), tmp_path)
    files = Places.below(tmp_path).identity
    before = files.key_and_certificate()
    context = ssl.create_default_context()
    renewal = Renewal(files, context, now=lambda: datetime.fromtimestamp(service.clock(), timezone.utc))
    service.ahead_s = 10.0
    try:
        renewal.renew()
    finally:
        service.ahead_s = 0.0
    after = files.key_and_certificate()
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert DeviceKey(after[0]).belongs_to(after[1])
    revoked = revoke(service.engine, service.authority, "shop.renew", "lost", now=service.clock())
    assert len(revoked) == 2, "both certificates"
    with pytest.raises(ClaimRefused):
        renewal.renew()
    assert files.key_and_certificate() == after, "what is there stays"


def test_another_device_cannot_renew_for_this_one(service: EnrolmentService, tmp_path: Path) -> None:
    for name in ("a", "b"):
        claim(service, service.token(f"shop.cross-{name}", configuration=CONFIG), tmp_path / name)
    a, b = (Places.below(tmp_path / name).identity.key_and_certificate() for name in ("a", "b"))
    fleet, _ = FleetServer.pinned(service.url, service.service.ca_sha256)
    with pytest.raises(ClaimRefused):
        fleet.renew(Holder(DeviceKey(a[0]), b[1]), DeviceKey())


def test_from_the_pasted_line_to_online_with_nothing_done_by_hand(tmp_path: Path, shelf: Path) -> None:
    """The line as it is printed, by a shell, in a clean folder; curl, the script, the claim, the agent, a real broker."""
    authority = Authority.create(tmp_path / "authority")
    with (
        hardened_broker(tmp_path / "broker", authority) as broker,
        enrolment_service(
            tmp_path / "service", authority=authority, broker=f"mqtts://localhost:{broker.port}", bundles=shelf
        ) as service,
    ):
        ear = TlsClient(broker.service_port, broker.folder / "ca.crt", *broker.service_files)
        assert ear.connects()
        ear.subscribe(f"edgesdk/1/{NODE}/up/state")
        token = service.token(NODE, configuration=CONFIG)
        venv = tmp_path / "venv/bin"
        venv.mkdir(parents=True)
        # The agent as it is installed here; the wheelhouse itself has a test of its own.
        # It also writes down what everybody on the device could read of the programs that started it.
        seen = tmp_path / "arguments"
        spy = f"""for one in $$ $PPID; do tr '\\0' ' ' < /proc/$one/cmdline >> '{seen}'; done"""
        (venv / "edgesdk-agent").write_text(f'#!/bin/sh\n{spy}\nexec "{sys.executable}" -m edgesdk_agent.main "$@"\n')
        (venv / "edgesdk-agent").chmod(0o755)
        options = ("--venv", str(tmp_path / "venv"), "--home", str(tmp_path / "device"), "--json")
        line = install_line(service.service, token, options=options, sudo=False)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        config = json.loads(done.stdout)["config"]
        command = [sys.executable, "-m", "edgesdk_agent.main", "run", "--config", config]
        with (tmp_path / "agent.log").open("wb") as log:
            agent = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
        try:
            topic, payload = ear.wait_heard(1)[0]
            assert topic == f"edgesdk/1/{NODE}/up/state"
            assert json.loads(payload)["state"] == "online"
        finally:
            agent.terminate()
            agent.wait(60)
        again = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120)
        assert again.returncode != 0
        assert "already" in again.stderr
        elsewhere = line.replace(str(tmp_path / "device"), str(tmp_path / "other"))
        used = subprocess.run(["sh", "-c", elsewhere], capture_output=True, text=True, check=False, timeout=120)
        assert used.returncode != 0
        assert "refuses" in used.stderr
        assert token not in used.stderr + again.stderr + done.stderr
        assert "--server" in seen.read_text()
        assert token not in seen.read_text(), "a token in an argument is everybody's on the device"
        ear.close()


def test_the_line_runs_nothing_of_a_server_whose_key_is_another_one(service: EnrolmentService, tmp_path: Path) -> None:
    import dataclasses

    other = dataclasses.replace(service.service, pin="A" * 43 + "=")
    line = install_line(other, "enrol-x", options=("--home", str(tmp_path / "home")), sudo=False)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert "pinned" in done.stderr.lower() or "90" in done.stderr
    assert not (tmp_path / "home").exists()


def post(service: EnrolmentService, path: str, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _ask(urllib.request.Request(service.url + path, raw, {"Content-Type": "application/json"}), service)


def get(service: EnrolmentService, path: str) -> tuple[int, Any]:
    return _ask(urllib.request.Request(service.url + path), service)


def _ask(request: urllib.request.Request, service: EnrolmentService) -> tuple[int, Any]:
    context = ssl.create_default_context(cadata=service.authority.certificate_pem.decode())
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
