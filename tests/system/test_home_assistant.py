"""The bridge on a real broker: what a client such as Home Assistant finds there, also when it comes later."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk.fleet.interop.home_assistant_bridge import run_bridge
from edgesdk_targets.messages import Birth, Sample, Telemetry, encode
from edgesdk_testkit.brokers import PATIENCE_S, Ear, running_broker

pytestmark = pytest.mark.system
AT = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)
UP = "edgesdk/1/shop.door-1/up"


def test_home_assistant_finds_a_device_and_its_figures_also_when_it_comes_later(tmp_path: Path) -> None:
    common = {"node": "shop.door-1", "at": AT, "epoch": "e"}
    birth = encode(Birth.model_validate({**common, "seq": 1, "boot_id": "b", "session": 1, "target": "rpi5"}))
    # A batch that is packed, as devices send it: no client but ours reads it.
    samples = [Sample.model_validate({"at": AT, "fps": float(i), "temperature_c": 50.0}) for i in range(50)]
    tele = encode(Telemetry.model_validate({**common, "seq": 2, "samples": samples}))
    assert tele.content_type.endswith("deflate")
    with running_broker("mosquitto", tmp_path) as broker:
        ready, loops = threading.Event(), []

        async def run() -> None:
            stop = asyncio.Event()
            loops.append((asyncio.get_running_loop(), stop))
            await run_bridge(broker.address, stop=stop, ready=ready.set)

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            assert ready.wait(PATIENCE_S)
            with Ear(broker.address, "homeassistant/#") as first, Ear(broker.address, "edgesdk-ha/#") as figures:
                _say(first, f"{UP}/birth", birth.payload, birth.content_type, retain=True)
                announced = first.wait_for(lambda heard: len(heard) > 0)[0]
                _say(first, f"{UP}/tele", tele.payload, tele.content_type)
                told = figures.wait_for(lambda heard: len(heard) > 0)[0]
            document = json.loads(announced.payload)
            assert document["components"]["fps"]["state_topic"] == told.topic
            assert json.loads(told.payload)["fps"] == 49.0, "the newest sample"
            with Ear(broker.address, "homeassistant/#") as later:
                assert later.wait_for(lambda heard: len(heard) > 0)[0].retained
        finally:
            loop, stop = loops[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join(PATIENCE_S)


def _say(ear: Ear, topic: str, payload: bytes, content_type: str, *, retain: bool = False) -> None:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = content_type
    ear._client.publish(topic, payload, qos=1, retain=retain, properties=properties).wait_for_publish(PATIENCE_S)
