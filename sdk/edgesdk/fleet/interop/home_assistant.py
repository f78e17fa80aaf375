"""Home Assistant's MQTT discovery: what is said so that a device appears there by itself, with its figures. Pure.

    homeassistant/device/edgesdk_…/config   retained: the device and its entities
    edgesdk-ha/{node}/state                 retained: the figures, one plain JSON object

Figures are said on a topic of our own because devices report them in batches that are packed; whether the device is there
Home Assistant reads from the device's own `up/state`, which its will writes, so that it is right even without us.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesdk_targets.messages import Birth, Sample
from edgesdk_targets.topics import Channel, Node, Topic

DISCOVERY_PREFIX = "homeassistant"
STATE_PREFIX = "edgesdk-ha"
STATUS_TOPIC = f"{DISCOVERY_PREFIX}/status"
# Where Home Assistant calls a figure unknown, rather than to show one of long ago.
EXPIRE_S = 600
_MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to say, retained; an empty payload takes back what was said."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Entity:
    """One figure as Home Assistant shows it."""

    name: str
    unit: str = ""
    device_class: str = ""
    state_class: str = "measurement"
    precision: int | None = None
    diagnostic: bool = True


_SENSORS: Mapping[str, _Entity] = {
    "fps": _Entity("Frame rate", "fps", precision=1, diagnostic=False),
    "age_p95_ms": _Entity("Result age p95", "ms", "duration", precision=0),
    "temperature_c": _Entity("Temperature", "°C", "temperature", precision=1),
    "cpu_percent": _Entity("Processor, of one core", "%", precision=0),
    "memory_bytes": _Entity("Memory of the agent", "B", "data_size", precision=0),
    "disk_free_bytes": _Entity("Free disk space", "B", "data_size", precision=0),
    "queued": _Entity("Waiting reports", "reports", precision=0),
    "dropped": _Entity("Dropped frames", "frames", state_class="total_increasing", precision=0),
    "bundle": _Entity("Model", state_class=""),
}


def discovery(birth: Birth, *, site: str = "", page: str = "") -> Publication:
    """Return what makes a device appear.

    Args:
        site: where it stands; proposed as its area.
        page: the address of its page on the fleet's dashboard.
    """
    node = Node.parse(birth.node)
    device: dict[str, Any] = {
        "identifiers": [f"edgesdk:{birth.node}"],
        "name": node.device,
        "manufacturer": "edgesdk",
        "model": _text(birth.target) or "edge device",
    }
    more = {"sw_version": _text(birth.agent_version), "suggested_area": _text(site), "configuration_url": page}
    device |= {name: value for name, value in more.items() if value}
    state_topic = state_topic_of(node)
    components: dict[str, Any] = {"connection": _connection(node)}
    components["problem"] = {
        "platform": "binary_sensor",
        "name": "Health",
        "device_class": "problem",
        "entity_category": "diagnostic",
        "unique_id": _unique(node, "problem"),
        "state_topic": state_topic,
        "value_template": "{{ value_json.problem | default('OFF') }}",
        "expire_after": EXPIRE_S,
        "availability": _availability(node),
    }
    for name, entity in _SENSORS.items():
        components[name] = _sensor(node, name, entity, state_topic)
    document = {
        "device": device,
        "origin": {"name": "edgesdk", "sw_version": _text(birth.agent_version) or "unknown"},
        "components": components,
        "qos": 1,
    }
    return Publication(config_topic(node), _json(document))


def state(node: Node, sample: Sample, bundle: str) -> Publication:
    """Return a device's figures; what it did not say is left out, and stays unknown there."""
    values: dict[str, Any] = {
        "fps": sample.fps,
        "age_p95_ms": sample.age_ms.p95,
        "temperature_c": sample.temperature_c,
        "cpu_percent": sample.cpu_percent,
        "memory_bytes": sample.memory_bytes,
        "disk_free_bytes": sample.disk_free_bytes,
        "queued": sample.queued,
        "dropped": sum(sample.dropped.values()),
        "bundle": _text(bundle) or None,
    }
    known = {name: value for name, value in values.items() if value is not None}
    known["problem"] = "ON" if sample.state == "degraded" else "OFF"
    return Publication(state_topic_of(node), _json(known))


def removal(node: Node) -> tuple[Publication, ...]:
    """Return what makes a device disappear."""
    return Publication(config_topic(node), b""), Publication(state_topic_of(node), b"")


def config_topic(node: Node) -> str:
    """Return where a device is announced; its last part but one has only what Home Assistant takes."""
    return f"{DISCOVERY_PREFIX}/device/{object_id(node)}/config"


def state_topic_of(node: Node) -> str:
    """Return where a device's figures are said."""
    return f"{STATE_PREFIX}/{node}/state"


def object_id(node: Node) -> str:
    """Return a name without the dot, which Home Assistant does not take; the digest keeps `a.b-c` and `a-b.c` apart."""
    digest = hashlib.sha256(str(node).encode()).hexdigest()[:8]
    return f"edgesdk_{re.sub(r'[^A-Za-z0-9_-]', '_', str(node))}_{digest}"


def _connection(node: Node) -> dict[str, Any]:
    """Return the entity that says whether the device is there; it is available always."""
    return {
        "platform": "binary_sensor",
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "unique_id": _unique(node, "connection"),
        "state_topic": str(Topic(node, Channel.STATE)),
        "value_template": "{{ value_json.state }}",
        "payload_on": "online",
        "payload_off": "offline",
    }


def _sensor(node: Node, name: str, entity: _Entity, state_topic: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "platform": "sensor",
        "name": entity.name,
        "unique_id": _unique(node, name),
        "state_topic": state_topic,
        # What is missing renders as `None`, which Home Assistant reads as unknown.
        "value_template": f"{{{{ value_json.{name} | default(None) }}}}",
        "expire_after": EXPIRE_S,
        "availability": _availability(node),
    }
    more = {
        "unit_of_measurement": entity.unit,
        "device_class": entity.device_class,
        "state_class": entity.state_class,
        "entity_category": "diagnostic" if entity.diagnostic else "",
    }
    found |= {key: value for key, value in more.items() if value}
    if entity.precision is not None:
        found["suggested_display_precision"] = entity.precision
    return found


def _availability(node: Node) -> list[dict[str, str]]:
    return [
        {
            "topic": str(Topic(node, Channel.STATE)),
            "value_template": "{{ value_json.state }}",
            "payload_available": "online",
            "payload_not_available": "offline",
        }
    ]


def _unique(node: Node, name: str) -> str:
    return f"{object_id(node)}_{name}"


def _text(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:_MAX_TEXT]


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
