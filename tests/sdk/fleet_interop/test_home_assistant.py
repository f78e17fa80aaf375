"""What is said to Home Assistant, against the rules that its MQTT integration checks discovery messages by.

The rules are written down here from its documentation and its schemas (device discovery, `sensor`, `binary_sensor`, device
and state classes): which fields there are, which are required, which units a device class takes.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import jinja2
import pytest

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.interop.home_assistant import (
    Publication,
    config_topic,
    discovery,
    object_id,
    removal,
    state,
    state_topic_of,
)
from edgesdk.fleet.interop.home_assistant_bridge import HomeAssistantBridge
from edgesdk_targets.messages import Birth, BundleName, Percentiles, Sample, Telemetry, encode
from edgesdk_targets.topics import Node

AT = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)
NODE = Node("door-1", "shop")

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_DISCOVERY = re.compile(
    r"homeassistant/(?P<component>\w+)/(?:(?P<node>[a-zA-Z0-9_-]+)/)?(?P<object>[a-zA-Z0-9_-]+)/config"
)
_ROOT = {
    "device",
    "origin",
    "components",
    "state_topic",
    "command_topic",
    "qos",
    "encoding",
    "availability",
    "availability_mode",
}
_DEVICE = {
    "identifiers", "connections", "manufacturer", "model", "model_id", "name", "hw_version", "serial_number", "sw_version",
    "via_device", "suggested_area", "configuration_url",
}  # fmt: skip
_ORIGIN = {"name", "sw_version", "support_url"}
_ENTITY = {
    "platform", "name", "unique_id", "state_topic", "value_template", "availability", "availability_mode", "device_class",
    "enabled_by_default", "encoding", "entity_category", "entity_picture", "expire_after", "force_update", "icon",
    "json_attributes_template", "json_attributes_topic", "default_entity_id", "qos",
}  # fmt: skip
_OF_PLATFORM = {
    "sensor": _ENTITY
    | {"unit_of_measurement", "state_class", "suggested_display_precision", "options", "last_reset_value_template"},
    "binary_sensor": _ENTITY | {"payload_on", "payload_off", "off_delay"},
}
_AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
_UNITS = {
    "duration": {"d", "h", "min", "s", "ms"},
    "temperature": {"°C", "°F", "K"},
    "data_size": {"bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB"},
    "battery": {"%"},
}
_BINARY = {"connectivity", "problem", "running", "update", "power", "motion", "heat"}


def check(publication: Publication) -> dict[str, Any]:
    """Raise AssertionError where Home Assistant would refuse or ignore what is said."""
    topic = _DISCOVERY.fullmatch(publication.topic)
    assert topic is not None, "the topic is not one of discovery"
    assert topic["component"] == "device"
    document = json.loads(publication.payload)
    assert isinstance(document, dict)
    assert set(document) <= _ROOT, set(document) - _ROOT
    _check_device(document["device"])
    assert set(document["origin"]) <= _ORIGIN
    assert document["origin"]["name"]
    assert document.get("qos", 0) in (0, 1, 2)
    ids = [component["unique_id"] for component in document["components"].values()]
    assert len(set(ids)) == len(ids)
    for key, component in document["components"].items():
        assert _ID.fullmatch(key)
        _check_entity(component)
    return document


def _check_device(device: dict[str, Any]) -> None:
    assert set(device) <= _DEVICE, set(device) - _DEVICE
    assert device.get("identifiers") or device.get("connections")
    assert all(isinstance(one, str) for one in device["identifiers"])
    assert all(isinstance(value, str) for name, value in device.items() if name not in ("identifiers", "connections"))
    if "configuration_url" in device:
        assert re.match(r"(https?|homeassistant)://[^/]+", device["configuration_url"])


def _check_entity(component: dict[str, Any]) -> None:
    platform = component["platform"]
    assert set(component) <= _OF_PLATFORM[platform], set(component) - _OF_PLATFORM[platform]
    assert component["unique_id"]
    assert component["state_topic"]
    assert not set(component["state_topic"]) & set("+#\0"), "it is subscribed to as it is"
    assert component.get("entity_category") in (None, "diagnostic"), "config is for what can be changed"
    assert component.get("expire_after", 1) > 0
    jinja2.Environment().parse(component.get("value_template", ""))
    for one in component.get("availability", []):
        assert set(one) <= _AVAILABILITY
        assert one["topic"]
    kind = component.get("device_class")
    if platform == "binary_sensor":
        assert kind in _BINARY
        return
    unit, state_class = component.get("unit_of_measurement"), component.get("state_class")
    assert state_class in (None, "measurement", "total", "total_increasing")
    assert kind is None or unit in _UNITS[kind], f"{kind} is not measured in {unit}"
    assert (unit is None) == (state_class is None), "text has neither"
    assert isinstance(component.get("suggested_display_precision", 0), int)


def birth(node: Node = NODE, **more: Any) -> Birth:
    known = {"target": "rpi5", "agent_version": "1.2.0", "bundle": BundleName(name="person", version="2.0.0"), **more}
    return Birth.model_validate(
        {"node": str(node), "at": AT, "epoch": "e", "seq": 1, "boot_id": "b", "session": 1, **known}
    )


def sample(**more: Any) -> Sample:
    return Sample.model_validate(
        {"at": AT, "fps": 9.5, "age_ms": Percentiles(p95=120.0), "temperature_c": 61.5, **more}
    )


def test_a_device_is_announced_as_home_assistant_takes_it() -> None:
    document = check(discovery(birth(), site="Berlin", page="https://fleet.example.org/devices/shop.door-1"))
    assert document["device"]["identifiers"] == ["edgesdk:shop.door-1"]
    assert document["device"]["suggested_area"] == "Berlin"
    assert document["components"]["connection"]["state_topic"] == "edgesdk/1/shop.door-1/up/state"
    assert "availability" not in document["components"]["connection"], "it says itself whether the device is there"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("origin"),
        lambda d: d["origin"].pop("name"),
        lambda d: d["device"].update(identifiers=[]),
        lambda d: d["device"].update(location="x"),
        lambda d: d["components"]["fps"].pop("unique_id"),
        lambda d: d["components"]["fps"].pop("platform"),
        lambda d: d["components"]["temperature_c"].update(unit_of_measurement="degrees"),
        lambda d: d["components"]["fps"].update(state_class="counter"),
        lambda d: d["components"]["fps"].update(entity_category="config"),
        lambda d: d["components"]["fps"].update(value_template="{{ value_json.fps"),
        lambda d: d["components"]["fps"].update(unique_id=d["components"]["queued"]["unique_id"]),
    ],
)
def test_the_rules_find_what_is_wrong(spoil: Any) -> None:
    """Negative control of the check itself."""
    said = discovery(birth())
    document = json.loads(said.payload)
    spoil(document)
    with pytest.raises((AssertionError, KeyError, jinja2.TemplateError)):
        check(Publication(said.topic, json.dumps(document).encode()))


def test_every_figure_is_found_where_its_template_looks() -> None:
    document = check(discovery(birth()))
    full = sample(cpu_percent=50.0, memory_bytes=1000, disk_free_bytes=2000, queued=3, dropped={"busy": 2, "late": 5})
    said = state(NODE, full, "person 2.0.0")
    assert said.topic == state_topic_of(NODE) == document["components"]["fps"]["state_topic"]
    values = json.loads(said.payload)

    def shown(name: str, of: dict[str, Any]) -> str:
        return jinja2.Environment().from_string(document["components"][name]["value_template"]).render(value_json=of)

    found = {name: shown(name, values) for name in document["components"] if name != "connection"}
    assert found == {
        "fps": "9.5", "age_p95_ms": "120.0", "temperature_c": "61.5", "cpu_percent": "50.0", "memory_bytes": "1000",
        "disk_free_bytes": "2000", "queued": "3", "dropped": "7", "bundle": "person 2.0.0", "problem": "OFF",
    }  # fmt: skip
    less = json.loads(state(NODE, sample(temperature_c=None, state="degraded"), "").payload)
    assert shown("temperature_c", less) == "None", "which Home Assistant reads as unknown"
    assert shown("problem", less) == "ON"
    assert shown("connection", {"state": "online"}) == document["components"]["connection"]["payload_on"]


def test_two_devices_never_have_one_name() -> None:
    names = {object_id(Node.parse(text)) for text in ("a.b-c", "a-b.c", "a_b.c", "a.b_c", "A.b-c")}
    assert len(names) == 5
    assert all(_ID.fullmatch(name) for name in names)


def test_what_a_device_calls_itself_stays_text() -> None:
    evil = birth(target='x"}\n{{ states }}', agent_version="1\x00" + "9" * 254)
    document = check(discovery(evil))
    assert document["device"]["model"] == 'x"}{{ states }}', (
        "control characters are left out; it is shown, never rendered"
    )
    assert len(document["device"]["sw_version"]) <= 255


def received(message: Birth | Telemetry, topic: str, *, retained: bool = False) -> Received:
    said = encode(message)
    return Received(topic, said.payload, said.content_type, retained)


def test_the_bridge_says_each_device_once_and_figures_at_most_so_often() -> None:
    said: list[Publication] = []
    now = [0.0]
    bridge = HomeAssistantBridge(said.append, every_s=10, clock=lambda: now[0])
    tele = Telemetry.model_validate({"node": str(NODE), "at": AT, "epoch": "e", "seq": 2, "samples": [sample()]})
    up = f"edgesdk/1/{NODE}/up"
    bridge.take(received(tele, f"{up}/tele"))
    assert said == [], "figures of somebody unknown say nothing"
    for _ in range(3):
        bridge.take(received(birth(), f"{up}/birth", retained=True))
    assert [one.topic for one in said] == [config_topic(NODE)]
    for seconds in range(25):
        now[0] = float(seconds)
        bridge.take(received(tele, f"{up}/tele"))
    assert [one.topic for one in said[1:]] == [state_topic_of(NODE)] * 3
    bridge.take(Received("homeassistant/status", b"online", "", retained=False))
    assert said[-1].topic == config_topic(NODE)
    bridge.take(Received(f"{up}/tele", b"{not json", "", retained=False))
    assert bridge.unreadable == 1
    for topic in (f"{up}/tele", "edgesdk/1/local.stranger/up/birth", f"{up}/birth"):
        bridge.take(Received(topic, b"", "", retained=False))
    assert said[-2:] == list(removal(NODE))
    assert all(one.payload == b"" for one in said[-2:])
