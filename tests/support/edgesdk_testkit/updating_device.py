"""A device on a real broker that is updated as a roll-out asks, without a bundle or a camera; it comes back when the broker does.

It answers as an agent does: it passes over what is older than what it has answered, does not take what it runs or has left,
says each step once as an event, and what it runs and how far it is on each connection.
"""

from __future__ import annotations

import queue
import threading
from datetime import datetime, timezone
from typing import Any

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Desired,
    Event,
    Message,
    Percentiles,
    Reported,
    Sample,
    State,
    Telemetry,
    decode,
)
from edgesdk_testkit.brokers import PATIENCE_S
from edgesdk_testkit.mqtt_device import MqttDevice

_SPEAKS_EVERY_S = 0.3


class UpdatingDevice(MqttDevice):
    """Runs a bundle, and changes it as it is told.

    Attributes:
        executing: digest of what it runs; ran: of each that it ran, in order.
        goes_on: not set, it stays in a trial.
        told: versions of what was wanted of it, as far as it took them up.
    """

    def __init__(self, address: BrokerAddress, node: str, executing: str, target: str) -> None:
        self.executing, self.ran, self.told = executing, [executing], list[int]()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._target, self._step, self._seq, self._session = target, "idle", 0, 0
        self._left: set[str] = set()
        self._wanted: queue.Queue[Desired] = queue.Queue()
        self._ending = threading.Event()
        super().__init__(address, node)
        self._client.on_connect = lambda *_: self._come()
        self._come()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.goes_on.set()
        self._thread.join(PATIENCE_S)
        super().__exit__()

    def _come(self) -> None:
        """Say who it is, and hear what is wanted."""
        self._session += 1
        self._present()
        for channel in ("ack", "desired"):
            self._client.subscribe(f"edgesdk/1/{self.node}/down/{channel}", qos=1)

    def _present(self) -> None:
        runs, session = BundleName(name="cnn", digest=self.executing), {"boot_id": "boot", "session": self._session}
        head = {**self._head(), "seq": self._seq + 1}
        self.say(
            Birth.model_validate({**head, **session, "target": self._target, "bundle": runs}),
            Reported.model_validate(
                {**head, "active": runs, "step": self._step, "version": self.told[-1] if self.told else 0}
            ),
            State.model_validate({**head, **session, "state": "online"}),
            retain=True,
        )

    def _live(self) -> None:
        while not self._ending.is_set():
            sample = Sample(at=_now(), window_s=1, fps=10, age_ms=Percentiles(p50=10, p95=20, p99=30))
            self._report(Telemetry, samples=(sample,))
            try:
                self._become(self._wanted.get(timeout=_SPEAKS_EVERY_S))
            except queue.Empty:
                continue

    def _become(self, wanted: Desired) -> None:
        if self.told and wanted.version <= self.told[-1]:
            return
        self.told.append(wanted.version)
        update = wanted.state.get("update")
        if isinstance(update, dict) and "leave" in update:
            self._leave(str(update["leave"]))
        elif isinstance(update, dict):
            # …/TOKEN/DIGEST/NAME
            self._take(f"sha256:{str(update['address']).split('/')[-2]}")
        self._present()

    def _take(self, digest: str) -> None:
        if digest == self.executing:
            return
        if digest in self._left:
            refused = {"id": digest, "do": "install", "code": "input"}
            self._report(Event, name="update_refused", severity="warning", message="cnn failed here", data=refused)
            return
        self._at("downloading", digest)
        self._run(digest)
        self._at("trial", digest)
        self.goes_on.wait()
        if not self._ending.is_set():
            self._at("confirmed", digest)

    def _leave(self, digest: str) -> None:
        self._left.add(digest)
        if digest == self.executing:
            self._run(self.ran[-2])
            self._at("confirmed", self.executing)

    def _run(self, digest: str) -> None:
        self.executing = digest
        self.ran.append(digest)

    def _at(self, step: str, digest: str) -> None:
        self._step = step
        self._report(Event, name="update_step", message=step, data={"id": digest, "step": step, "why": ""})
        self._present()

    def _report(self, kind: type[Message], **fields: Any) -> None:
        self._seq += 1
        self.say(kind.model_validate({**self._head(), "seq": self._seq, **fields}))

    def _head(self) -> dict[str, Any]:
        return {"node": self.node, "at": _now(), "epoch": "e1"}

    def _on_message(self, client: object, data: object, message: Any) -> None:
        if not message.topic.endswith("/desired"):
            super()._on_message(client, data, message)
        elif message.payload:
            wanted = decode(message.topic, message.payload, getattr(message.properties, "ContentType", ""))
            assert isinstance(wanted, Desired)
            self._wanted.put(wanted)


def _now() -> datetime:
    return datetime.now(timezone.utc)
