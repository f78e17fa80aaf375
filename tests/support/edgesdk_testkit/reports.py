"""Reports of devices as the collector would have read them, for tests of the store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Reading
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Event,
    Message,
    Percentiles,
    ResultMessage,
    Sample,
    State,
    Telemetry,
    encode,
    topic_of,
)

# The beginning of an hour, so that minutes and hours are where a test expects them.
NOW_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000


def moment(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at_ms)


def telemetry(
    node: str, seq: int, *at_ms: int, epoch: str = "e1", fps: float | None = 10.0, **more: object
) -> Telemetry:
    """Return one message of samples; figures are the same in each but for the counters, which grow."""
    samples = tuple(
        Sample(
            at=moment(at),
            window_s=1,
            fps=fps,
            processed=seq * 90 + n,
            dropped={"stale": seq * 10},
            age_ms=Percentiles(p50=20, p95=40, p99=50),
            latency_ms={"infer": Percentiles(p50=5, p95=8)},
            **{"captured": seq * 100 + n, "temperature_c": 50.0, **more},
        )
        for n, at in enumerate(at_ms)
    )
    return Telemetry(node=node, at=moment(at_ms[-1]), epoch=epoch, seq=seq, samples=samples)


def event(
    node: str, seq: int, at_ms: int, name: str, message: str = "", severity: str = "info", epoch: str = "e1"
) -> Event:
    return Event(node=node, at=moment(at_ms), epoch=epoch, seq=seq, name=name, message=message, severity=severity)


def detection(node: str, seq: int, at_ms: int, *labels: str, camera: str = "door", epoch: str = "e1") -> ResultMessage:
    objects = [{"label": label, "score": 0.9, "box": [0, 0, 1, 1]} for label in labels]
    return ResultMessage(
        node=node, at=moment(at_ms), epoch=epoch, seq=seq, camera=camera, frame=seq, captured_at=moment(at_ms), age_ms=5,
        result={"kind": "detections", "objects": objects},
    )  # fmt: skip


def birth(
    node: str, at_ms: int, *, session: int = 1, boot_id: str = "b1", bundle: str = "shelf", **more: object
) -> Birth:
    return Birth(
        node=node, at=moment(at_ms), epoch="e1", seq=1, boot_id=boot_id, session=session,
        bundle=BundleName(name=bundle, version="1.0.0", digest="d"), **{"target": "rpi5", **more},
    )  # fmt: skip


def state(node: str, at_ms: int, said: str, *, session: int = 1, boot_id: str = "b1") -> State:
    return State(node=node, at=moment(at_ms), epoch="e1", seq=1, boot_id=boot_id, session=session, state=said)


def reading_of(*messages: Message, received_ms: int = NOW_MS, retained: bool = False) -> Reading:
    """Return what the collector makes of messages."""
    whole = Reading()
    for message in messages:
        body = encode(message)
        whole.add(
            read(Received(str(topic_of(message)), body.payload, body.content_type, retained, received_ms=received_ms))
        )
    assert not whole.refusals, json.dumps([refusal.reason for refusal in whole.refusals])
    return whole
