"""A real mosquitto run from the files that `broker-config` writes, and clients that come with certificates."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from edgesdk.fleet import broker as fleet_broker
from edgesdk.fleet.enrol.authority import Authority, Issued
from edgesdk.fleet.enrol.broker_files import write_broker_files
from edgesdk.fleet.enrol.certificate import key_pem, new_key
from edgesdk.fleet.hardened_broker import HardenedBroker
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node
from edgesdk_testkit.brokers import PATIENCE_S, free_port
from edgesdk_testkit.required import missing


@dataclass
class HardenedProcess:
    """mosquitto on loopback, as configured for a fleet."""

    folder: Path
    authority: Authority
    port: int
    service_port: int
    process: subprocess.Popen[bytes]

    @property
    def service_files(self) -> tuple[Path, Path]:
        return self.folder / "services/fleet.crt", self.folder / "services/fleet.key"

    def install_revoked(self) -> None:
        """Give the broker the authority's list of revoked certificates, and have it read."""
        (self.folder / "crl.pem").write_bytes((self.authority.folder / "crl.pem").read_bytes())
        self.process.send_signal(signal.SIGHUP)


@contextlib.contextmanager
def hardened_broker(
    folder: Path, authority: Authority, *, reader: str = "", acl: str = ""
) -> Iterator[HardenedProcess]:
    """Run it; `acl` takes the place of the rules that `broker-config` writes."""
    try:
        program = fleet_broker.find_broker("mosquitto")
    except InputError as error:
        missing(error.message)
    port, service_port = free_port(), free_port()
    settings = HardenedBroker(
        installed_at=folder, host="127.0.0.1", port=port, service_port=service_port, user="root",
        readers=(reader,) if reader else (),
    )  # fmt: skip
    write_broker_files(folder, settings, authority, ("localhost",))
    if acl:
        (folder / "acl").write_text(acl)
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen([program.path, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        for one in (port, service_port):
            _listens(one, process, folder / "broker.log")
        yield HardenedProcess(folder, authority, port, service_port, process)
    finally:
        process.kill()
        process.wait()


def _listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            raise AssertionError(log.read_text())
    raise AssertionError(log.read_text())


def request_for(name: str) -> tuple[bytes, bytes]:
    """Return a new key and a request for a name, as PEM."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key_pem(key), made.public_bytes(serialization.Encoding.PEM)


def device_files(folder: Path, authority: Authority, node: str, *, days: float = 90) -> tuple[Path, Path, Issued]:
    """Make a device's key and certificate, and return the files and what was issued."""
    key, request = request_for(node)
    issued = authority.sign_device(request, Node.parse(node), days=days)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{node}.key").write_bytes(key)
    (folder / f"{node}.crt").write_text(issued.pem)
    return folder / f"{node}.crt", folder / f"{node}.key", issued


@dataclass
class TlsClient:
    """A plain MQTT 5 client with a certificate."""

    port: int
    ca: Path
    cert: Path | None = None
    key: Path | None = None
    client_id: str = ""
    will_topic: str = ""
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        self._changed = threading.Condition()
        self._connected = self._gone = False
        self._done: dict[int, Any] = {}
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.cert is not None:
            context.load_cert_chain(str(self.cert), str(self.key))
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=self.client_id, protocol=MQTTv5, reconnect_on_failure=False
        )
        client.tls_set_context(context)
        if self.will_topic:
            client.will_set(self.will_topic, b"will", qos=1)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = lambda _c, _d, mid, code, _p: self._note(self._done, mid, code)
        client.on_subscribe = lambda _c, _d, mid, codes, _p: self._note(self._done, mid, codes)

    def connects(self) -> bool:
        """Try to connect, and say whether the broker took us."""
        try:
            self._client.connect("localhost", self.port)
        except OSError:
            return False
        self._client.loop_start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._connected or self._gone, PATIENCE_S)
            return self._connected

    def publish(self, topic: str, payload: bytes = b"x") -> bool:
        """Say something, and return whether the broker says that it was allowed."""
        mid = self._client.publish(topic, payload, qos=1).mid
        return not self._wait(mid).is_failure

    def subscribe(self, topic: str) -> None:
        self._wait(self._client.subscribe(topic, qos=1)[1])

    def wait_heard(self, count: int) -> list[tuple[str, bytes]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE_S), self.heard
            return list(self.heard)

    def wait_gone(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._gone, PATIENCE_S)

    def break_off(self) -> None:
        """End the connection without a word, so that the will is said."""
        sock: Any = self._client.socket()
        # Not closed: the client's own thread waits on it, and would go on waiting on a number that is nobody's.
        sock.shutdown(socket.SHUT_RDWR)
        self.wait_gone()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, mid: int) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: mid in self._done or self._gone, PATIENCE_S)
            return self._done[mid]

    def _note(self, where: dict[int, Any], mid: int, what: Any) -> None:
        with self._changed:
            where[mid] = what
            self._changed.notify_all()

    def _on_connect(self, _c: Any, _d: Any, _f: Any, code: Any, _p: Any) -> None:
        with self._changed:
            self._connected = not code.is_failure
            self._gone = code.is_failure
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _on_message(self, _c: Any, _d: Any, message: Any) -> None:
        with self._changed:
            self.heard.append((message.topic, message.payload))
            self._changed.notify_all()
