"""What simulated devices report: texts of the real messages, written once, in which only the moment is filled in.

A result of ten thousand devices would cost 25 µs each to write as a model; as a text with places to fill it is one.
Each text is that of the message's own writer, so it says what a real device would say.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache

from edgesdk_targets.messages import (
    BundleName,
    CameraSample,
    Encoded,
    Event,
    Percentiles,
    ResultMessage,
    Sample,
    Telemetry,
    encode,
)

BUNDLE = BundleName(name="simulated", version="1.0.0", digest="sha256:" + "0" * 64)
CAMERA = "door"
TELEMETRY_S = 10.0
# So many different answers are drawn once; devices take them in turn.
_ANSWERS = 64
_LABELS = ("person", "car", "bicycle", "dog")
_WIDTH, _HEIGHT = 1280, 720
# Stand in the texts where something is filled in; nothing else of a message looks like them.
_NODE, _EPOCH = "NODE.NODE", "EPOCH"
_SEQ, _FRAME = 7_111_111_111_111, 7_222_222_222_222
_AT = datetime(1999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)
_AT_TEXT = b"1999-12-31T23:59:59.999Z"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report stands: its device, its number, and milliseconds since 1970 by the device's clock."""

    node: bytes
    epoch: bytes
    seq: int
    at_ms: int


class ResultTexts:
    """Results to take in turn.

    Args:
        seed: of what is seen.
        objects: at most so many objects in one.
    """

    def __init__(self, seed: int, objects: int = 3) -> None:
        chance = random.Random(f"results {seed}")  # noqa: S311  (nothing secret)
        self._texts = [_fillable(_result(chance, objects)) for _ in range(_ANSWERS)]

    def at(self, place: Place, turn: int) -> bytes:
        """Return a result as it travels."""
        at = moment(place.at_ms)
        # The fields in the order in which the message's writer puts them.
        return self._texts[turn % _ANSWERS] % (place.node, at, place.epoch, place.seq, place.seq, at)


def telemetry(place: Place, chance: random.Random, *, frames: int, fps: float, queued: int) -> Encoded:
    """Return telemetry of the last ten seconds.

    Args:
        chance: of how it does; the device's own.
        frames: captured since its start.
    """
    at = _time(place.at_ms)
    infer = Percentiles(p50=31.0 + chance.random(), p95=33.0 + chance.random(), p99=40.0)
    age = Percentiles(p50=39.0 + chance.random(), p95=52.0 + 4 * chance.random(), p99=70.0 + 9 * chance.random())
    rate = round(fps * (0.98 + 0.02 * chance.random()), 2)
    sample = Sample(
        at=at, window_s=TELEMETRY_S, fps=rate, captured=frames, processed=frames, age_ms=age,
        latency_ms={"infer": infer}, queued=queued, cpu_percent=round(70 + 20 * chance.random(), 1),
        memory_bytes=int((190 + 4 * chance.random()) * (1 << 20)), temperature_c=round(55 + 9 * chance.random(), 1),
        disk_free_bytes=9_120_000_000, state="online",
        cameras={CAMERA: CameraSample(state="online", fps=rate, captured=frames, processed=frames, age_ms=age)},
    )  # fmt: skip
    return encode(
        Telemetry(node=place.node.decode(), at=at, epoch=place.epoch.decode(), seq=place.seq, samples=(sample,))
    )


def event(place: Place, name: str, message: str) -> Encoded:
    """Return an event."""
    return encode(
        Event(
            node=place.node.decode(), at=_time(place.at_ms), epoch=place.epoch.decode(), seq=place.seq, name=name,
            message=message, camera=CAMERA,
        )
    )  # fmt: skip


@cache
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def moment(at_ms: int) -> bytes:
    """Write milliseconds since 1970 as messages do; the text of a second is made once for all devices."""
    if _second.cache_info().currsize > 10_000:
        _second.cache_clear()
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z".encode()


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc)


def _result(chance: random.Random, most: int) -> ResultMessage:
    objects: list[dict[str, object]] = []
    for _ in range(chance.randint(0, most)):
        label = chance.randrange(len(_LABELS))
        x, y = chance.uniform(0, _WIDTH - 200), chance.uniform(0, _HEIGHT - 200)
        box = [round(v, 2) for v in (x, y, x + chance.uniform(20, 200), y + chance.uniform(20, 200))]
        objects.append(
            {"class_id": label, "label": _LABELS[label], "score": round(chance.uniform(0.4, 1), 4), "box": box}
        )
    return ResultMessage.model_validate(
        {
            "node": _NODE, "at": _AT, "epoch": _EPOCH, "seq": _SEQ, "camera": CAMERA, "frame": _FRAME,
            "captured_at": _AT, "age_ms": round(chance.uniform(35, 60), 1),
            "latency_ms": {"preprocess": 1.9, "infer": round(chance.uniform(29, 34), 1)}, "bundle": BUNDLE,
            "result": {"kind": "detections", "objects": objects},
        }
    )  # fmt: skip


def _fillable(message: ResultMessage) -> bytes:
    text = encode(message).payload.replace(b"%", b"%%")
    for mark, place in (
        (_NODE.encode(), b"%b"),
        (_EPOCH.encode(), b"%b"),
        (str(_SEQ).encode(), b"%d"),
        (str(_FRAME).encode(), b"%d"),
        (_AT_TEXT, b"%b"),
    ):
        text = text.replace(mark, place)
    return text
