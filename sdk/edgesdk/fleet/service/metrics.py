"""Writes the fleet in Prometheus' text format, names and units as Prometheus wants them: seconds, bytes, `_total`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import Parts
from edgesdk.fleet.store import devices as store
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.fleet_overview import overview
from edgesdk.fleet.store.paging import MAX_LIMIT
from edgesdk.fleet.store.selection import Selection

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Metric → figure, help, factor to Prometheus' unit.
_OF_DEVICE: Mapping[str, tuple[str, str, float]] = {
    "edgesdk_device_fps": ("fps", "Frames a second.", 1.0),
    "edgesdk_device_age_p95_seconds": ("age_p95_ms", "Age of results, 95th percentile.", 0.001),
    "edgesdk_device_temperature_celsius": ("temperature_c", "Temperature.", 1.0),
    "edgesdk_device_memory_bytes": ("memory_bytes", "Memory of the agent.", 1.0),
    "edgesdk_device_cpu_cores": ("cpu_percent", "Processor time of the agent, in cores.", 0.01),
    "edgesdk_device_disk_free_bytes": ("disk_free_bytes", "Free room on the disk.", 1.0),
    "edgesdk_device_queued_reports": ("queued", "Reports that wait to be delivered.", 1.0),
    "edgesdk_device_frames_processed_total": ("processed", "Frames since the agent's start.", 1.0),
    "edgesdk_device_frames_dropped_total": ("dropped", "Frames dropped since the agent's start.", 1.0),
    "edgesdk_device_reports_lost_total": ("lost", "Reports lost since the agent's start.", 1.0),
}


def exposition(parts: Parts, *, devices: bool = True) -> str:
    """Return everything as one text."""
    at_ms = now_ms()
    with reading(parts.engine) as connection:
        whole = overview(connection, at_ms)
        found: list[dict[str, Any]] = []
        cursor = ""
        while devices:
            page = store.find(connection, Selection(), at_ms, limit=MAX_LIMIT, cursor=cursor)
            found.extend(page.items)
            cursor = page.next
            if not cursor:
                break
    recording = int(not parts.collecting.get("problem"))
    lines = [
        *_metric("edgesdk_devices", "Devices by state.", (({"state": s}, n) for s, n in whole["states"].items())),
        *_metric("edgesdk_fleet_fps", "Frames a second of all devices that are there.", [({}, whole["fps"] or 0)]),
        *_metric("edgesdk_alerts_firing", "Alerts that are firing.", [({}, whole["alerts_firing"])]),
        *_metric("edgesdk_unreadable_messages", "Messages that could not be read, kept.", [({}, whole["unreadable"])]),
        *_metric("edgesdk_collector_up", "1 while the collector records.", [({}, recording)]),
    ]
    # One that was never there, or must not be, is not missing: an alert over `up` would never end.
    expected = [device for device in found if device["state"] not in ("never_seen", "revoked")]
    if expected:
        there = ("online", "degraded", "updating")
        up = (({"node": d["name"], "site": d["site"]}, int(d["state"] in there)) for d in expected)
        lines += _metric("edgesdk_device_up", "1 while the device is there.", up)
    for name, (figure, words, factor) in _OF_DEVICE.items():
        values = [({"node": d["name"]}, v * factor) for d in found if (v := d["figures"].get(figure)) is not None]
        if values:
            lines += _metric(name, words, values)
    return "\n".join(lines) + "\n"


def _metric(name: str, words: str, values: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
    for labels, value in values:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inner}}} {value:.10g}" if inner else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
