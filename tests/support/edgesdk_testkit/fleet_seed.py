"""Fills a fleet's store with devices that were never there: for tests and pictures of the dashboard."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from edgesdk.fleet.store.address import Address
from edgesdk.fleet.store.batch import DeclaredGap, Kind, Reading, Record, Stream
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.figures import BY_NAME
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.numbering import count_on
from edgesdk.fleet.store.tables import (
    alert_rules,
    alerts,
    events,
    node_tags,
    nodes,
    now,
    records,
    sample_minutes,
    samples,
    snapshots,
    streams,
)
from edgesdk_targets.messages import GapCause

SITES = ("Harbour", "Mill Lane", "North depot", "Station")
MINUTE_MS = 60_000


def seed(engine: Engine, count: int, *, minutes: int = 60, samples_of: int = 1, media: Path | None = None) -> list[str]:
    """Write `count` devices, the first online, every tenth in another state; return their names.

    Args:
        minutes: of roll-ups for each device; samples_of: how many devices have an hour of single samples.
        media: where a picture of the first device goes.
    """
    rng = random.Random(7)
    at_ms = int(time.time() * 1000)
    names = [f"local.cam-{number:04}" for number in range(count)]
    with writing(engine) as connection:
        for number, name in enumerate(names):
            connection.execute(insert(nodes).values(**_node(number, name, at_ms)))
            if number % 10 != 9:
                connection.execute(insert(now).values(node=number + 1, **_now(number, at_ms, rng)))
            connection.execute(insert(node_tags).values(node=number + 1, tag="indoor" if number % 2 else "door"))
            connection.execute(insert(streams).values(id=number + 1, node=number + 1, epoch="e1"))
        rows = [row for number in range(count) if number % 10 != 9 for row in _minutes(number, at_ms, minutes, rng)]
        rows += _whole_fleet(rows)
        for first in range(0, len(rows), 2000):
            connection.execute(insert(sample_minutes), rows[first : first + 2000])
        for number in range(min(samples_of, count)):
            connection.execute(insert(samples), _samples(number, at_ms))
        _happenings(connection, count, at_ms)
        # The numbers above were ours; what comes after gets the database's own.
        count_on(connection, ["nodes", "streams", "alert_rules"], {})
        if media is not None:
            _picture(connection, media, at_ms)
    _lose(engine, names[:samples_of], at_ms)
    return names


def _lose(engine: Engine, names: list[str], at_ms: int) -> None:
    """Let devices declare a loss as they do: between two reports, for which nothing is heard."""
    path = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
    store = Ingest(Address(engine.url, path), wall=lambda: at_ms / 1000)
    for name in names:
        stream = Stream(name, "e1")
        times = {4: at_ms - 40 * MINUTE_MS, 10: at_ms - 30 * MINUTE_MS}
        said = [Record(stream, seq, Kind.TELEMETRY, at, "{}", live=False) for seq, at in times.items()]
        gap = DeclaredGap(stream, (5, 9), 10, times[10], GapCause.BUDGET.value, {"telemetry": 5})
        store.commit(Reading(records=said, gaps=[gap]))
    store.close()


def _node(number: int, name: str, at_ms: int) -> dict[str, Any]:
    return {
        "id": number + 1, "name": name, "title": f"Gate {number + 1}" if number % 3 == 0 else "",
        "site": SITES[number % 4], "target": "rpi5" if number % 3 else "jetson-orin-nano", "variant": "rpi5-litert-fp32",
        "runtime": "litert", "agent_version": "0.2.0", "bundle_name": "digits-detector", "bundle_version": "1.0.0",
        "bundle_digest": hashlib.sha256(b"digits").hexdigest(), "created_ms": at_ms - 86_400_000,
        "first_seen_ms": None if number % 10 == 9 else at_ms - 80_000_000, "born_ms": at_ms - 7_000_000,
        "revoked_ms": at_ms - 5000 if number % 50 == 28 else None, "hardware": {"model": "Raspberry Pi 5", "cores": "4"},
        "cameras": [{"name": "door", "source": "v4l2:/dev/video0", "mode": "1280x720@30", "decoder": "mjpeg by hardware"}],
    }  # fmt: skip


def _now(number: int, at_ms: int, rng: random.Random) -> dict[str, Any]:
    kind = number % 10
    values = {
        "fps": rng.uniform(9, 30), "age_p50_ms": rng.uniform(20, 60), "age_p95_ms": rng.uniform(40, 240),
        "age_p99_ms": rng.uniform(200, 500), "cpu_percent": 140.0, "memory_bytes": 3.1e8,
        "temperature_c": rng.uniform(42, 84), "queued": 0, "dropped": rng.randint(0, 400), "captured": 100000,
        "processed": 99000, "lost": 0, "clock_offset_ms": rng.uniform(-5, 5),
    }  # fmt: skip
    return {
        "said": "offline" if kind == 4 else "online", "reason": "connection lost" if kind == 4 else "",
        "health": "degraded" if kind == 6 else "online", "step": "downloading" if number % 20 == 12 else "",
        "latency_ms": {"preprocess": [1.1, 2.0], "infer": [11.9, 14.2]}, "dropped_by_cause": {"queue": 36},
        "heard_ms": at_ms - (2_000_000 if kind == 4 else rng.randint(0, 9000)), "sample_ms": at_ms, "clock_trusted": True,
        "last_result": "3 objects: 7 at 0.97", **{name: round(value * BY_NAME[name].scale) for name, value in values.items()},
    }  # fmt: skip


def _minutes(number: int, at_ms: int, count: int, rng: random.Random) -> list[dict[str, Any]]:
    first = at_ms // MINUTE_MS * MINUTE_MS - count * MINUTE_MS
    level = rng.uniform(12, 28)
    rows = []
    for minute in range(count):
        if number % 7 == 3 and count // 3 < minute < count // 2:
            continue
        fps = round((level + 2 * math.sin(minute / 6 + number) + rng.uniform(-0.6, 0.6)) * 100)
        age = round((90 + 30 * math.sin(minute / 9) + rng.uniform(0, 25)) * 10)
        warm = round((55 + 4 * math.sin(minute / 20)) * 10)
        rows.append({
            "node": number + 1, "at_ms": first + minute * MINUTE_MS, "n": 6, "fps_n": 6, "fps_sum": fps * 6,
            "fps_min": fps - 100, "fps_max": fps + 100, "age_p95_ms_n": 6, "age_p95_ms_sum": age * 6,
            "age_p95_ms_max": age, "temperature_c_n": 6, "temperature_c_sum": warm * 6, "temperature_c_max": warm,
            "dropped_max": 3 * minute,
        })  # fmt: skip
    return rows


def _whole_fleet(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the roll-up makes of all devices' minutes: sums of their means."""
    made = []
    for at_ms in sorted({row["at_ms"] for row in rows}):
        there = [row for row in rows if row["at_ms"] == at_ms]
        total = dict.fromkeys(there[0], None) | {"node": 0, "at_ms": at_ms, "n": len(there)}
        total |= {"fps_n": len(there), "fps_sum": sum(row["fps_sum"] // row["fps_n"] for row in there)}
        made.append(total | {"age_p95_ms_max": max(row["age_p95_ms_max"] for row in there)})
    return made


def _samples(number: int, at_ms: int) -> list[dict[str, Any]]:
    rows = []
    for step in range(360):
        at = at_ms - (360 - step) * 10_000
        if 120 < step < 180:
            continue
        rows.append({
            "node": number + 1, "at_ms": at, "fps": round((24 + 3 * math.sin(step / 17)) * 100),
            "age_p50_ms": round((40 + 5 * math.sin(step / 11)) * 10), "age_p95_ms": round((90 + 20 * math.sin(step / 9)) * 10),
            "age_p99_ms": round((160 + 40 * math.sin(step / 7)) * 10), "temperature_c": round((58 + 4 * math.sin(step / 60)) * 10),
            "memory_bytes": round((3.0e8 + step * 2e4) / 1024), "queued": 12 if 180 <= step < 190 else 0,
            "cpu_percent": 1400 + step % 30 * 5, "dropped": step // 40 * 4, "lost": 0, "clock_offset_ms": step % 7 - 3,
            "latency_ms": '{"preprocess":[1.1,2.0],"infer":[11.9,14.2]}', "dropped_by_cause": json.dumps({"queue": step // 40 * 4}),
        })  # fmt: skip
    return rows


def _happenings(connection: Any, count: int, at_ms: int) -> None:
    for seq, (name, severity, message) in enumerate(
        (("camera_lost", "error", "door: no picture for 5 s"), ("camera_back", "info", "door is back"),
         ("hot", "warning", "81 °C, working slower"), ("line_crossed", "info", "person crossed entrance")), 1,
    ):  # fmt: skip
        connection.execute(insert(events).values(
            stream=1, seq=seq, node=1 + seq % max(1, min(3, count)), at_ms=at_ms - seq * 400_000, received_ms=at_ms, name=name,
            severity=severity, camera="door", message=message, data={},
        ))  # fmt: skip
    connection.execute(insert(records).values(
        stream=1, seq=1, node=1, kind=1, at_ms=at_ms - 5000, received_ms=at_ms, camera="door", labels="|person|",
        body='{"frame": 7, "age_ms": 12.5, "result": {"kind": "text", "text": "GATE 7"}}',
    ))  # fmt: skip
    connection.execute(
        insert(alert_rules).values(
            id=1,
            name="too-warm",
            kind="temperature_over",
            severity="warning",
            threshold=80,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
    )
    for node, state in ((min(2, count), "firing"), (1, "cleared")):
        connection.execute(insert(alerts).values(
            rule=1, node=node, state=state, severity="warning", value=81.5, message="81.5 °C, over 80 °C for 5 min",
            since_ms=at_ms - 900_000, fired_ms=at_ms - 600_000, cleared_ms=at_ms - 60_000 if state == "cleared" else None,
            updated_ms=at_ms,
        ))  # fmt: skip


def _picture(connection: Any, media: Path, at_ms: int) -> None:
    import cv2
    import numpy as np

    image = np.full((360, 640, 3), 60, np.uint8)
    image[:, :, 1] += np.linspace(0, 90, 640).astype(np.uint8)
    cv2.rectangle(image, (210, 110), (400, 300), (190, 224, 53), 3)
    cv2.putText(image, "7  0.97", (212, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (190, 224, 53), 2)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    media.mkdir(parents=True, exist_ok=True)
    (media / "one.jpg").write_bytes(jpeg)
    connection.execute(insert(snapshots).values(
        node=1, snapshot="s1", camera="door", at_ms=at_ms - 20_000, received_ms=at_ms, content_type="image/jpeg",
        size_bytes=len(jpeg), width=640, height=360, sha256=hashlib.sha256(jpeg).hexdigest(), path="one.jpg",
    ))  # fmt: skip
