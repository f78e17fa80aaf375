"""Everything that a device can say, with one text of it in another's words: each message has one text replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_AT = "2026-01-31T12:00:00Z"
_BUNDLE = {"name": "counter", "version": "1.0.0", "digest": "ab12"}
_SAID: dict[str, dict[str, Any]] = {
    "birth": {
        "schema": "birth/1", "boot_id": "b", "session": 1, "agent_version": "1", "agent_digest": "d", "target": "rpi5",
        "variant": "v", "runtime": "litert", "hardware": {"model": "Pi"}, "bundle": _BUNDLE, "schemas": ["result/1"],
        "capabilities": ["snapshot"], "cameras": [{"name": "door", "source": "s", "mode": "m", "decoder": "d"}],
    },
    "state": {"schema": "state/1", "state": "online", "boot_id": "b", "session": 1, "reason": "r"},
    "reported": {
        "schema": "reported/1", "version": 1, "config_hash": "h", "step": "s", "active": _BUNDLE, "previous": _BUNDLE,
        "applied": {"fps": "5"}, "refused": [{"what": "w", "why": "y"}], "pending": ["p"],
    },
    "result": {
        "schema": "result/1", "camera": "door", "frame": 1, "captured_at": _AT, "age_ms": 1.0, "bundle": _BUNDLE,
        "latency_ms": {"infer": 1.0},
        "result": {"kind": "detections", "objects": [{"label": "person", "score": 0.5, "box": [0, 0, 1, 1]}]},
    },
    "tele": {
        "schema": "tele/1", "samples": [{
            "at": _AT, "state": "online", "dropped": {"stale": 1}, "lost": {"result": 1}, "counts": {"camera.stalls": 1},
            "latency_ms": {"infer": {"p50": 1, "p95": 2}}, "cameras": {"door": {"state": "online", "cause": "lost"}},
        }],
    },
    "event": {
        "schema": "event/1", "name": "door", "severity": "info", "camera": "door", "message": "m", "data": {"rule": "r"},
    },
}  # fmt: skip


def hostile_reports(words: str) -> list[tuple[str, bytes]]:
    """Return topics and bodies, each of a device of its own; in each, one text or name of a field says `words`."""
    bodies = [(channel, body) for channel, said in _SAID.items() for body in _each_replaced(said, words)]
    return [
        (
            f"edgesdk/1/local.cam{number}/up/{channel}",
            json.dumps({"node": f"local.cam{number}", "at": _AT, "epoch": "e1", "seq": 1, **body}).encode(),
        )
        for number, (channel, body) in enumerate(bodies)
    ]


def _each_replaced(value: Any, words: str) -> Iterator[Any]:
    """Yield copies of a value, in each of which another text, or an entry's name, is `words`."""
    if isinstance(value, str):
        yield words
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in _each_replaced(part, words))
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from ({**value, name: other} for other in _each_replaced(part, words))
            yield {words if key == name else key: kept for key, kept in value.items()}
