"""A plain MQTT client that keeps what it hears, as anybody's would."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import paho.mqtt.client as mqtt


@dataclass(frozen=True)
class Heard:
    topic: str
    body: dict[str, Any]
    retained: bool

    @cached_property
    def channel(self) -> str:
        return self.topic.split("/", 3)[3]


class MqttListener:
    """Subscribe to everything of every device; use it in a `with` statement."""

    def __init__(
        self, host: str, port: int, topic: str = "edgesdk/1/+/up/#", *, login: tuple[str, str] | None = None
    ) -> None:
        self._topic = topic
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._where = (host, port)
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(0.2, 0.5)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> MqttListener:
        self._client.connect(*self._where)
        self._client.loop_start()
        assert self._ready.wait(10), "the broker did not take the subscription"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def heard(self, channel: str | None = None) -> list[Heard]:
        with self._changed:
            return [one for one in self._heard if channel is None or one.channel == channel]

    def wait_until(self, holds: Callable[[list[Heard]], bool], timeout_s: float = 30.0) -> list[Heard]:
        """Wait until what was heard fulfils `holds`, and return it; fail with what was heard otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self._heard), timeout_s):
                channels = [one.channel for one in self._heard]
                raise AssertionError(f"not heard within {timeout_s} s; {len(channels)} messages: {channels[-10:]}")
            return list(self._heard)

    def wait_for(self, channel: str, count: int = 1, timeout_s: float = 30.0) -> list[Heard]:
        return [
            one
            for one in self.wait_until(lambda all_: sum(h.channel == channel for h in all_) >= count, timeout_s)
            if one.channel == channel
        ]

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = message.payload
        kind = getattr(message.properties, "ContentType", "") if message.properties else ""
        if kind.endswith("+deflate"):
            payload = zlib.decompress(payload)
        with self._changed:
            self._heard.append(Heard(message.topic, json.loads(payload), bool(message.retain)))
            self._changed.notify_all()
