"""A device on a real broker that is born, does what it is told, and says so: for tests of what tells devices things."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import paho.mqtt.client as mqtt
from typing_extensions import Self

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Command,
    Event,
    Message,
    Percentiles,
    Reply,
    ResultMessage,
    Sample,
    State,
    Telemetry,
    decode,
    encode,
    topic_of,
)
from edgesdk_targets.messages.snapshot import Snapshot, encode_snapshot
from edgesdk_targets.topics import Channel, Node, Topic
from edgesdk_testkit.brokers import PATIENCE_S


def utc() -> datetime:
    return datetime.now(timezone.utc)


class CommandedDevice:
    """Answers every command: accepted, then done; `refuses` names verbs that it will not do."""

    def __init__(self, address: BrokerAddress, node: str = "local.gate-1", *, refuses: tuple[str, ...] = ()) -> None:
        self.node = node
        self.commands: list[Command] = []
        self._refuses = refuses
        self._seq = 0
        self._ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"dev-{node}", protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(f"edgesdk/1/{node}/down/cmd", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._told
        self._client.connect(address.host, address.port)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self._ready.wait(PATIENCE_S)
        self.say(Birth(**self._head(outside=True), boot_id="boot", session=1, target="rpi5", agent_version="0.2.0",
                       bundle=BundleName(name="digits", version="1.0.0")), retain=True)  # fmt: skip
        self.state("online")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def state(self, state: str) -> None:
        fields = {**self._head(outside=True), "state": state, "boot_id": "boot", "session": 1}
        self.say(State.model_validate(fields), retain=True)

    def telemetry(self, fps: float) -> None:
        sample = Sample(at=utc(), window_s=1, fps=fps, age_ms=Percentiles(p50=10, p95=20, p99=30), temperature_c=50)
        self.say(Telemetry(**self._head(), samples=(sample,)))

    def result(self, text: str) -> None:
        answer = {"kind": "text", "text": text, "confidence": 0.9}
        self.say(
            ResultMessage(**self._head(), camera="door", frame=self._seq, captured_at=utc(), age_ms=3, result=answer)
        )

    def event(self, name: str, message: str) -> None:
        self.say(Event(**self._head(), name=name, severity="warning", message=message))

    def picture(self, jpeg: bytes, number: str = "p1") -> None:
        shown = Snapshot(**self._head(), id=number, camera="door", frame=1, captured_at=utc(), width=64, height=48)
        topic = str(Topic(Node.parse(self.node), Channel.SNAPSHOT))
        self._publish(topic, encode_snapshot(shown, jpeg).payload, retain=False)

    def say(self, message: Message, *, retain: bool = False) -> None:
        self._publish(str(topic_of(message)), encode(message).payload, retain=retain)

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def _head(self, *, outside: bool = False) -> dict[str, object]:
        self._seq += 0 if outside else 1
        return {"node": self.node, "at": utc(), "epoch": "e1", "seq": self._seq + int(outside)}

    def _told(self, _client: object, _data: object, got: mqtt.MQTTMessage) -> None:
        command = decode(got.topic, got.payload, "application/json")
        assert isinstance(command, Command)
        self.commands.append(command)
        if command.verb in self._refuses:
            return self._reply(command, "refused", ok=False, code="unknown", message=f"I do not know {command.verb}")
        self._reply(command, "accepted")
        return self._reply(command, "done", message="as you say")

    def _reply(self, command: Command, step: str, *, ok: bool = True, code: str = "", message: str = "") -> None:
        fields = {**self._head(), "id": command.id, "ok": ok, "step": step, "code": code, "message": message}
        self.say(Reply.model_validate(fields))
