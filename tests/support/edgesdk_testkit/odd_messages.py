"""Messages that a decoder has no reason to refuse, with values in them that no device of ours would say."""

from __future__ import annotations

import json
from typing import Any

# Whole numbers that no float, column or counter holds; text that databases refuse; shapes that nobody expects.
ODD_VALUES: tuple[Any, ...] = (
    10**320,
    -(10**320),
    1 << 63,
    1e308,
    -5e-324,
    True,
    None,
    "",
    "\0",
    "a\0b\ud800",
    "\U0001f600" * 3000,
    [],
    [[[[1]]], {"a": 10**320}],
    {"": None, "\0": {"label": 7}},
)
_AT = "2026-01-31T12:00:00Z"


def odd_bodies(node: str, epoch: str, first_seq: int = 1) -> list[tuple[str, bytes]]:
    """Return topics and bodies, numbered without a hole."""
    made: list[tuple[str, dict[str, Any]]] = []
    for value in ODD_VALUES:
        for said in _results(value):
            fields = {"camera": "door", "frame": 1, "captured_at": _AT, "age_ms": 1.0, "result": said}
            made.append(("result", {"schema": "result/1", **fields}))
        data = {"id": "c1", "event": value, "filename": value, "bytes": value, "odd": value}
        made += [
            ("event", {"schema": "event/1", "name": name, "data": data})
            for name in ("clip_kept", "clip_failed", "door")
        ]
    return [
        (f"edgesdk/1/{node}/up/{channel}", json.dumps({**body, "node": node, "at": _AT, "epoch": epoch, "seq": seq}).encode())
        for seq, (channel, body) in enumerate(made, first_seq)
    ]  # fmt: skip


def _results(value: Any) -> list[dict[str, Any]]:
    thing = {"label": value, "score": value, "box": value, "then": {"kind": "text", "text": value}}
    return [
        {"kind": "detections", "objects": [thing]},
        {"kind": "chain", "objects": [thing, value]},
        {"kind": "classification", "classes": [thing]},
        {"kind": "text", "text": value, "score": value},
        {"kind": "embedding", "vector": value},
        {"kind": "regression", "values": {"x": value, "y": 1}},
        {"kind": value, "objects": value},
    ]
