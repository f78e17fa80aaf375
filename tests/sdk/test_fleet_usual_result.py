"""The short way to read a result takes nothing that the models refuse, and makes of what it takes what they make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.collect.usual_result import read_usual_result
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Reading, Record
from edgesdk_targets.messages import BundleName, Encoded, ResultMessage, encode
from edgesdk_targets.results import Classification, Detections, Embedding, Text
from edgesdk_testkit.malformed import messages
from edgesdk_testkit.odd_messages import odd_bodies
from edgesdk_testkit.reports import NOW_MS

TOPIC = "edgesdk/1/local.cam1/up/result"
AT = datetime.fromtimestamp(NOW_MS / 1000, timezone.utc)
NAMES = ("person", "car", "größe|x")
BOXES = np.array([[1.0, 2.0, 30.5, 40.25], [0, 0, 1, 1]], np.float32)
DETECTIONS = Detections(BOXES, np.array([0.9, 0.5], np.float32), np.array([2, 0]), NAMES)
TRACKED = Detections(BOXES, DETECTIONS.scores, DETECTIONS.class_ids, NAMES, track_ids=np.array([7, 0]))
USUAL = {
    "detections": DETECTIONS.to_json(),
    "tracked": TRACKED.to_json(),
    "nothing": Detections(BOXES[:0], DETECTIONS.scores[:0], DETECTIONS.class_ids[:0]).to_json(),
    "classification": Classification(np.array([1, 0]), np.array([0.8, 0.1], np.float32), NAMES).to_json(),
    "text": Text("AB 12", 0.93).to_json(),
    "many": {
        "kind": "detections",
        "objects": [{"label": f"l{n}", "score": 0.5, "box": [0, 0, 1, 1]} for n in range(99)],
    },
}


def _payload(result: Any, **fields: Any) -> bytes:
    usual: dict[str, Any] = {
        "node": "local.cam1", "at": AT, "epoch": "e1", "seq": 7, "camera": "door", "frame": 12, "captured_at": AT,
        "age_ms": 12.5, "latency_ms": {"infer": 3.25}, "bundle": BundleName(name="b", version="1", digest="sha256:0"),
    }  # fmt: skip
    return encode(ResultMessage(**{**usual, **fields}, result=result)).payload


def _both(payload: bytes, topic: str = TOPIC, content_type: str = "", received_ms: int = NOW_MS) -> Record | None:
    """Return what is read the short way, after a look at what the models make of it."""
    received = Received(topic, payload, content_type, received_ms=received_ms)
    record = read_usual_result(received)
    assert record is None or read(received) == Reading(records=[record]), payload
    return record


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("received_ms", [0, NOW_MS, NOW_MS - 10 * 86_400_000])
def test_what_agents_report_is_read_the_short_way(name: str, received_ms: int) -> None:
    for trusted in (True, False):
        record = _both(_payload(USUAL[name], clock_trusted=trusted), received_ms=received_ms)
        assert record is not None


def test_what_it_does_not_know_is_left_to_the_models() -> None:
    for result in (
        Embedding(np.zeros(4, np.float32)).to_json(),
        {"kind": "mine", "objects": 3},
        {"kind": "chain", "objects": []},
    ):
        assert _both(_payload(result)) is None
        assert read(Received(TOPIC, _payload(result))).records


# Stand in a document for what Python does not write as JSON.
RAW = {"<1e999>": "1e999", "<-1e999>": "-1e999", "<NaN>": "NaN", "<Infinity>": "Infinity", "<half>": r'"\ud800"', "<1.0>": "1.0",
       "<digits>": "1" * 5000, "<twice>": '1,"seq":2', "<01>": "01"}  # fmt: skip
DEEP: Any = 1
for _ in range(20):
    DEEP = [DEEP]
TIMES = (
    "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123+00:00",
    "2026-02-30T12:00:00.000Z", "2026-W05-6T12:00:00.000Z", "2026-01-31T24:00:00.000Z", "2026-01-31T23:59:60.000Z",
    "0000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-01-31t12:00:00.000z",
    "2026-01-31 12:00:00.000Z", "2026-01-31T12:00:00.00\u0661Z", "2026-01-31T1\u0662:00:00.000Z", "1969-12-31T23:59:59.999Z",
    "2026-01-31T12:00:00.000Z\n", "", "Z",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, 0, 1, -1, 1 << 40, (1 << 63) - 1, 1 << 63, -(1 << 63), 10**30, 10**400, 0.5, -0.5, 1e308, 5e-324,
    "", "x" * 256, "x" * 257, "é" * 256, "e1\n", "\0", "a.b", "local.cam2", "result/2", "detections", "chain",
    [], {}, [1], {"a": 1}, {"kind": "text"}, [[1]], DEEP, {"a": "b"}, {"x" * 257: 1.0}, {str(n): 1.0 for n in range(33)},
    *RAW, *TIMES,
)  # fmt: skip


def _places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from _places(value, (*path, key))


def _changed(document: Any, path: tuple[Any, ...], value: Any, *, drop: bool = False) -> bytes:
    copy = json.loads(json.dumps(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if drop:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    text = json.dumps(copy)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text.encode()


@pytest.mark.parametrize("name", ["tracked", "classification", "text"])
def test_whatever_stands_in_a_field_no_verdict_differs(name: str) -> None:
    document = json.loads(_payload(USUAL[name]))
    taken = refused = 0
    for path in _places(document):
        bodies = [*(_changed(document, path, value) for value in ODD), _changed(document, path, None, drop=True)]
        if isinstance(path[-1], str):
            bodies.append(_changed(document, (*path[:-1], "later"), DEEP))
        for body in bodies:
            record = _both(body)
            taken += record is not None
            refused += not read(Received(TOPIC, body, received_ms=NOW_MS)).records
    # Of both there is plenty, or nothing would be shown.
    assert min(taken, refused) > 100


def test_names_that_come_twice_are_read_as_the_models_read_them() -> None:
    document = _payload(USUAL["detections"])
    for once, twice in (
        (b'"age_ms":12.5', b'"age_ms":-1,"age_ms":12.5'),
        (b'"age_ms":12.5', b'"age_ms":12.5,"age_ms":-1'),
        (b'"kind":"detections"', b'"kind":"text","kind":"detections"'),
        (b'"kind":"detections"', b'"kind":"detections","kind":"text"'),
        (b'"epoch":"e1"', b'"epoch":"e1","epoch":"e2"'),
        (b'"label":"person"', b'"label":"person","label":"x"'),
        (b'"latency_ms":{', b'"latency_ms":{' + b",".join([b'"a":1'] * 40) + b","),
    ):
        assert document.count(once) == 1
        _both(document.replace(once, twice))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(USUAL)), st.integers(0, 1 << 16), st.integers(0, 3), st.binary(max_size=3))
def test_bytes_that_are_cut_or_put_in_change_no_verdict(name: str, at: int, cut: int, put: bytes) -> None:
    payload = _payload(USUAL[name])
    at %= len(payload)
    _both(payload[:at] + put + payload[at + cut :])


@settings(deadline=None, max_examples=300)
@given(messages())
def test_messages_that_nobody_should_send_are_read_alike(message: tuple[str, Encoded]) -> None:
    channel, body = message
    _both(body.payload, f"edgesdk/1/local.cam1/up/{channel}", body.content_type)


def test_odd_messages_are_read_alike() -> None:
    for topic, body in odd_bodies("local.cam1", "e1"):
        _both(body, topic)


def test_topics_and_content_types_are_those_of_results() -> None:
    payload = _payload(USUAL["text"])
    assert _both(payload, content_type="application/json") is not None
    for topic, content_type in (
        (TOPIC, "application/json+deflate"), (TOPIC, "text/plain"), ("edgesdk/1/local.cam2/up/result", ""),
        ("edgesdk/1/cam1/up/result", ""), ("edgesdk/2/local.cam1/up/result", ""), ("edgesdk/1/local.cam1/up/event", ""),
        ("x/up/result", ""),
    ):  # fmt: skip
        assert _both(payload, topic, content_type) is None
    assert _both(payload + b" " * (256 * 1024)) is None
