"""Real brokers on loopback that a test can kill and bring back, and a plain MQTT client that listens."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from typing_extensions import Self

from edgesdk.fleet import broker as fleet_broker
from edgesdk.fleet.broker_config import iotcore_config, mosquitto_config
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Message, decode
from edgesdk_testkit.required import missing

KINDS = ("mosquitto", "iotcore")
# How long a test waits for what must happen; far longer than it takes, so that a busy machine does not fail it.
PATIENCE_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealBroker:
    """One broker process, started directly, so that a signal hits it and nothing else.

    Args:
        kind: `mosquitto` or `iotcore`.
        folder: for its configuration.
        extra: further lines of mosquitto's configuration.
    """

    def __init__(
        self, kind: str, folder: Path, *, username: str = "", password: str = "", extra: tuple[str, ...] = ()
    ) -> None:
        try:
            program = fleet_broker.find_broker(kind)  # type: ignore[arg-type]
        except InputError as error:
            missing(f"{error.message} {error.hint}")
        self.kind = kind
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "mosquitto":
            config = mosquitto_config(folder, "127.0.0.1", self.port, username, password)
            with config.open("a") as stream:
                stream.writelines(f"{line}\n" for line in extra)
            self._command = [program.path, "-c", str(config)]
        else:
            config = iotcore_config(folder, "127.0.0.1", self.port, username, password)
            child = Path(fleet_broker.__file__).with_name("broker_child.py")
            self._command = [sys.executable, "-I", str(child), "iotcore", str(config)]
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        return str(self.address)

    def start(self) -> RealBroker:
        with self._log.open("ab") as log:
            # iotcore's child ends when its standard input does.
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.01)
                raise AssertionError(f"{self.kind} ended with {code}: {self._log.read_text()}")
        raise AssertionError(f"{self.kind} does not listen: {self._log.read_text()}")

    def kill(self) -> None:
        """End it as `kill -9` does: without a word to anybody."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


@contextlib.contextmanager
def running_broker(
    kind: str, folder: Path, *, username: str = "", password: str = "", extra: tuple[str, ...] = ()
) -> Iterator[RealBroker]:
    """Run a broker for the length of a `with` statement; it keeps its port when it is killed and started again."""
    broker = RealBroker(kind, folder, username=username, password=password, extra=extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@dataclass(frozen=True)
class Heard:
    """One message as a plain client got it; it is read once, however often somebody looks at it."""

    topic: str
    payload: bytes
    content_type: str
    retained: bool

    @cached_property
    def message(self) -> Any:
        found: Message = decode(self.topic, self.payload, self.content_type)
        return found


class Ear:
    """A plain MQTT 5 client that hears everything below a topic, in order, and comes back when the broker does."""

    def __init__(
        self, address: BrokerAddress, topic: str = "edgesdk/#", *, username: str = "", password: str = ""
    ) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        self._subscribed = 0
        self._topic = topic
        # Named, because some brokers know no nameless client that comes back.
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"ear-{secrets.token_hex(4)}", protocol=MQTTv5)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        if username:
            self._client.username_pw_set(username, password)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        self.wait_subscribed(1)

    def wait_subscribed(self, times: int) -> None:
        """Wait until it has subscribed so many times: once more after each restart of the broker."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._subscribed >= times, PATIENCE_S), "no subscription"

    def wait_for(self, found: Callable[[list[Heard]], bool]) -> list[Heard]:
        """Wait until what was heard satisfies `found`; return all of it."""
        with self._changed:
            assert self._changed.wait_for(lambda: found(self.heard), PATIENCE_S), self.heard[-20:]
            return list(self.heard)

    def said(self, channel: str) -> list[Heard]:
        """Return what was heard on a channel, for example `up/result`."""
        with self._changed:
            return [h for h in self.heard if h.topic.endswith(channel)]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_subscribe(self, *_: object) -> None:
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        with self._changed:
            content_type = getattr(message.properties, "ContentType", "")
            self.heard.append(Heard(message.topic, message.payload, content_type, message.retain))
            self._changed.notify_all()
