"""A device that reports numbered results over MQTT and hears what is stored: its memory is a list, its word is QoS 1."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from typing_extensions import Self

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Ack, Birth, Encoded, Message, ResultMessage, decode, encode, topic_of
from edgesdk_testkit.brokers import PATIENCE_S

AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def result(seq: int, *, node: str = "local.cam1", epoch: str = "e1") -> ResultMessage:
    return ResultMessage(
        node=node, at=AT, epoch=epoch, seq=seq, camera="door", frame=seq, captured_at=AT, age_ms=1.0,
        result={"kind": "text", "text": str(seq)},
    )  # fmt: skip


def birth(next_seq: int, *, node: str = "local.cam1", epoch: str = "e1") -> Birth:
    return Birth(node=node, at=AT, epoch=epoch, seq=next_seq, boot_id="boot", session=1)


class MqttDevice:
    """A plain client that publishes what it is given and keeps every `down/ack`; comes back when the broker does."""

    def __init__(self, address: BrokerAddress, node: str = "local.cam1") -> None:
        self.node = node
        self.acks: list[Ack] = []
        self.puback_count = 0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"device-{node}", protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self._client.max_inflight_messages_set(1000)
        self._client.on_connect = lambda client, *_: client.subscribe(f"edgesdk/1/{node}/down/ack", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S), "no subscription"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, *messages: Message, retain: bool = False) -> None:
        for message in messages:
            self.send(str(topic_of(message)), encode(message), retain=retain)

    def send(self, topic: str, body: Encoded, *, retain: bool = False) -> None:
        """Publish bytes as they are."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if body.content_type:
            properties.ContentType = body.content_type
        self._client.publish(topic, body.payload, qos=1, retain=retain, properties=properties)

    def wait_published(self, count: int) -> None:
        """Wait until the broker has acknowledged so many messages."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.puback_count >= count, PATIENCE_S), self.puback_count

    def wait_ack(self, true: Callable[[Ack], bool]) -> Ack:
        """Wait for an acknowledgement like this, and return the last of all."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(true, self.acks)), PATIENCE_S), self.acks[-3:]
            return self.acks[-1]

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        ack = decode(message.topic, message.payload, getattr(message.properties, "ContentType", ""))
        assert isinstance(ack, Ack)
        with self._changed:
            self.acks.append(ack)
            self._changed.notify_all()

    def _on_publish(self, *_: object) -> None:
        with self._changed:
            self.puback_count += 1
            self._changed.notify_all()
