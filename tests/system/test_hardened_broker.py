"""A real mosquitto from `broker-config`: who gets in, who may say what, who hears what, and who is locked out."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesdk.fleet.enrol.authority import Authority, Revoked
from edgesdk.fleet.enrol.orders import Order, make_enrolments
from edgesdk.fleet.store import enrolments
from edgesdk.fleet.store.engine import open_store, writing
from edgesdk_testkit.hardened_brokers import HardenedProcess, TlsClient, device_files, hardened_broker
from edgesdk_testkit.returning_device import ReturningDevice

pytestmark = pytest.mark.system
ALICE, BOB = "shop.alice", "shop.bob"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority") / "a")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[HardenedProcess]:
    with hardened_broker(tmp_path_factory.mktemp("broker"), authority, reader="homeassistant") as running:
        yield running


@pytest.fixture
def service(broker: HardenedProcess) -> Iterator[TlsClient]:
    client = TlsClient(broker.service_port, broker.folder / "ca.crt", *broker.service_files, client_id="collector-1")
    assert client.connects()
    client.subscribe("edgesdk/#")
    yield client
    client.close()


def device(broker: HardenedProcess, node: str, **more: str) -> TlsClient:
    cert, key, _ = device_files(broker.folder / "devices", broker.authority, node)
    return TlsClient(broker.port, broker.folder / "ca.crt", cert, key, **more)


def test_a_device_is_heard_as_itself_and_as_nobody_else(broker: HardenedProcess, service: TlsClient) -> None:
    alice = device(broker, ALICE)
    assert alice.connects()
    assert not alice.publish(f"edgesdk/1/{BOB}/up/event", b"spoofed")
    assert not alice.publish(f"edgesdk/1/{ALICE}/down/cmd", b"to itself")
    assert not alice.publish("edgesdk-alerts/x", b"an alert")
    assert not alice.publish("homeassistant/device/x/config", b"discovery")
    assert alice.publish(f"edgesdk/1/{ALICE}/up/event", b"own")
    # By delivery: what was refused before the own message would have come before it.
    assert service.wait_heard(1) == [(f"edgesdk/1/{ALICE}/up/event", b"own")]
    alice.close()


def test_without_the_pattern_the_same_device_is_heard_as_another(authority: Authority, tmp_path: Path) -> None:
    """Negative control: it is the rules that hold a device to its own topics, and not something else."""
    with hardened_broker(tmp_path / "open", authority, acl="pattern readwrite #\n") as broker:
        ear = TlsClient(broker.service_port, broker.folder / "ca.crt", *broker.service_files)
        assert ear.connects()
        ear.subscribe("edgesdk/#")
        alice = device(broker, ALICE)
        assert alice.connects()
        assert alice.publish(f"edgesdk/1/{BOB}/up/event", b"spoofed")
        assert ear.wait_heard(1) == [(f"edgesdk/1/{BOB}/up/event", b"spoofed")]
        alice.close()
        ear.close()


def test_a_device_hears_only_what_is_said_to_it(broker: HardenedProcess, service: TlsClient) -> None:
    alice = device(broker, ALICE)
    assert alice.connects()
    # The broker grants every subscription and filters at delivery.
    for topic in ("#", "edgesdk/1/+/down/#", f"edgesdk/1/{BOB}/#", "$SYS/#"):
        alice.subscribe(topic)
    for topic in (f"edgesdk/1/{BOB}/down/cmd", f"edgesdk/1/{BOB}/up/event", "edgesdk-alerts/all"):
        assert service.publish(topic, b"for another")
    assert service.publish(f"edgesdk/1/{ALICE}/down/cmd", b"for alice")
    heard = alice.wait_heard(1)
    assert {topic for topic, _ in heard} == {f"edgesdk/1/{ALICE}/down/cmd"}
    alice.close()


def test_a_device_cannot_leave_a_will_for_another(broker: HardenedProcess, service: TlsClient) -> None:
    mallory = device(broker, "shop.mallory", will_topic=f"edgesdk/1/{BOB}/up/state")
    if mallory.connects():
        mallory.break_off()
    honest = device(broker, ALICE, will_topic=f"edgesdk/1/{ALICE}/up/state")
    assert honest.connects()
    honest.break_off()
    assert service.wait_heard(1) == [(f"edgesdk/1/{ALICE}/up/state", b"will")]


def test_a_device_cannot_push_another_off_by_its_client_id(broker: HardenedProcess, service: TlsClient) -> None:
    alice = device(broker, ALICE, client_id=ALICE)
    assert alice.connects()
    bob = device(broker, BOB, client_id=ALICE)
    assert bob.connects()
    assert alice.publish(f"edgesdk/1/{ALICE}/up/event", b"still here")
    assert bob.publish(f"edgesdk/1/{BOB}/up/event", b"as itself")
    alice.close()
    bob.close()


def test_a_device_cannot_push_another_off_by_the_port_of_the_services(
    broker: HardenedProcess, service: TlsClient
) -> None:
    """There a session is named by its client: what a device holds must not open that port at all."""
    alice = device(broker, ALICE)
    assert alice.connects()
    cert, key, _ = device_files(broker.folder / "devices", broker.authority, "shop.mallory")
    mallory = TlsClient(broker.service_port, broker.folder / "ca.crt", cert, key, client_id=ALICE)
    assert not mallory.connects()
    assert alice.publish(f"edgesdk/1/{ALICE}/up/event", b"still here")
    # Nor is a service a device: neither port takes the other's certificates.
    assert not TlsClient(broker.port, broker.folder / "ca.crt", *broker.service_files).connects()
    alice.close()


def test_nobody_enters_without_a_certificate_of_this_authority(broker: HardenedProcess, tmp_path: Path) -> None:
    ca = broker.folder / "ca.crt"
    assert not TlsClient(broker.port, ca).connects()
    assert not TlsClient(broker.service_port, ca).connects()
    other = Authority.create(tmp_path / "other")
    cert, key, _ = device_files(tmp_path, other, ALICE)
    assert not TlsClient(broker.port, ca, cert, key).connects()
    expired, key, _ = device_files(tmp_path / "expired", broker.authority, ALICE, days=-0.001)
    assert not TlsClient(broker.port, ca, expired, key).connects()


def test_there_is_no_plain_port_and_no_older_tls(broker: HardenedProcess) -> None:
    for port in (broker.port, broker.service_port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(bytes.fromhex("101000044d5154540502003c000003616263"))  # CONNECT, MQTT 5
            try:
                answer = plain.recv(64)
            except ConnectionResetError:
                answer = b""
        assert not answer.startswith(b"\x20"), "no CONNACK"
        old = ssl.create_default_context(cafile=str(broker.folder / "ca.crt"))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port)) as raw:
            old.wrap_socket(raw, server_hostname="localhost")


def test_a_reader_hears_and_cannot_speak(broker: HardenedProcess, service: TlsClient) -> None:
    files = (broker.folder / "services/homeassistant.crt", broker.folder / "services/homeassistant.key")
    reader = TlsClient(broker.service_port, broker.folder / "ca.crt", *files)
    assert reader.connects()
    reader.subscribe("edgesdk/#")
    assert not reader.publish(f"edgesdk/1/{BOB}/down/cmd", b"restart")
    assert service.publish(f"edgesdk/1/{BOB}/down/cmd", b"allowed")
    assert (f"edgesdk/1/{BOB}/down/cmd", b"allowed") in reader.wait_heard(1)
    reader.close()


def test_a_revoked_device_is_thrown_out_and_stays_out(authority: Authority, tmp_path: Path) -> None:
    """Its own broker: a list of revoked certificates stays in effect."""
    from edgesdk.fleet.enrol.disconnect import disconnect

    crl = authority.folder / "crl.pem"
    before = crl.read_bytes()
    try:
        with hardened_broker(tmp_path / "broker", authority) as broker:
            cert, key, issued = device_files(tmp_path, authority, ALICE)
            ca = broker.folder / "ca.crt"
            alice, bob = TlsClient(broker.port, ca, cert, key), device(broker, BOB)
            assert alice.connects()
            assert bob.connects()
            crl.write_bytes(authority.revocation_list([Revoked(issued.serial, datetime.now(timezone.utc))]))
            broker.install_revoked()
            _wait_until(lambda: not _enters(broker.port, ca, cert, key))
            disconnect(
                "localhost",
                broker.service_port,
                ALICE,
                ca=ca,
                cert=broker.service_files[0],
                key=broker.service_files[1],
            )
            alice.wait_gone()
            assert not TlsClient(broker.port, ca, cert, key).connects()
            assert bob.publish(f"edgesdk/1/{BOB}/up/event"), "others stay"
            bob.close()
    finally:
        crl.write_bytes(before)


def test_the_command_throws_a_device_out_that_comes_back_at_once(tmp_path: Path) -> None:
    """Its connection is ended only when the broker refuses it: an agent that tries again at once stays out."""
    from edgesdk.cli.fleet import app

    authority = Authority.create(tmp_path / "authority")
    cert, key, db = _enrolled(tmp_path, authority, ALICE)
    with hardened_broker(tmp_path / "broker", authority) as broker:
        alice = ReturningDevice(broker.port, broker.folder / "ca.crt", cert, key, ALICE)
        assert alice.wait_entered(1)
        words = ["revoke", ALICE, "--db", str(db), "--authority", str(authority.folder), "--json"]
        words += ["--crl", str(broker.folder / "crl.pem"), "--broker", f"mqtts://localhost:{broker.service_port}"]
        words += ["--device-port", str(broker.port), "--ca", str(broker.folder / "ca.crt")]
        words += ["--cert", str(broker.service_files[0]), "--key", str(broker.service_files[1])]
        # Nobody told the broker: said, and the device not thrown out for nothing.
        unread = CliRunner().invoke(app, [*words, "--wait-s", "0"])
        assert unread.exit_code != 0
        assert "has not read the list" in str(unread.exception)
        assert not alice.refused
        assert alice.entered == 1
        done = CliRunner().invoke(app, [*words, "--reload", f"kill -HUP {broker.process.pid}"])
        assert done.exit_code == 0, done.output or done.exception
        assert json.loads(done.stdout)["disconnected"] is True
        assert alice.wait_refused(), "it tried again, and was not let in"
        assert alice.entered == 1
        alice.close()


def _enrolled(folder: Path, authority: Authority, node: str) -> tuple[Path, Path, Path]:
    """Give a device its identity in a store, and return certificate, key and store."""
    cert, key, issued = device_files(folder, authority, node)
    engine = open_store(folder / "fleet.db")
    order = Order(node=node, configuration={"bundle": "person", "cameras": [{"name": "door", "source": 0}]})
    make_enrolments(engine, [order], actor="test", ttl_s=600)
    now_ms = int(time.time() * 1000)
    with writing(engine) as connection:
        (token,) = enrolments.list_enrolments(connection)
        row = enrolments.enrolled_node(connection, token, now_ms)
        span = (int(issued.not_before.timestamp() * 1000), int(issued.not_after.timestamp() * 1000))
        kept = enrolments.StoredCertificate(issued.serial, node, issued.sha256, issued.pem, now_ms, *span, None, "")
        enrolments.add_certificate(connection, row, token.id, kept)
    engine.dispose()
    return cert, key, folder / "fleet.db"


def _enters(port: int, ca: Path, cert: Path, key: Path) -> bool:
    """As a client of its own name would push the open session off, only the handshake is tried."""
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(str(cert), str(key))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.settimeout(0.2)
                tls.recv(1)  # with TLS 1.3 a refusal comes after the client's handshake
        except TimeoutError:
            return True
        except (ssl.SSLError, ConnectionError):
            return False
    return False


def _wait_until(true: object, within_s: float = 30.0) -> None:
    assert callable(true)
    wait = threading.Event()
    for _ in range(int(within_s / 0.1)):
        if true():
            return
        wait.wait(0.1)
    raise AssertionError("it never became so")


def test_the_command_writes_what_a_broker_needs_and_nothing_that_others_may_read(tmp_path: Path) -> None:
    from edgesdk.cli.fleet import app

    arguments = ["broker-config", str(tmp_path / "out"), "--name", "fleet.example.org", "--name", "192.0.2.7"]
    arguments += ["--authority", str(tmp_path / "authority"), "--reader", "homeassistant", "--json"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found["broker"] == "mqtts://fleet.example.org:8883"
    for name in found["files"]:
        mode = (tmp_path / "out" / name).stat().st_mode & 0o777
        assert mode == (0o600 if name.endswith(".key") else 0o644), name
    assert (tmp_path / "authority/ca.key").stat().st_mode & 0o777 == 0o600
    key = (tmp_path / "out/services/fleet.key").read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert (tmp_path / "out/services/fleet.key").read_bytes() == key, "services are not locked out"
    assert json.loads(again.stdout)["ca_sha256"] == found["ca_sha256"]
    bad = CliRunner().invoke(
        app, ["broker-config", str(tmp_path / "b"), "--name", "a b", "--authority", str(tmp_path / "authority")]
    )
    assert bad.exit_code != 0
