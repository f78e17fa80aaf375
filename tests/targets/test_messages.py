from __future__ import annotations

import json
import math
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import (
    DEFLATED,
    JSON,
    Ack,
    Birth,
    BundleName,
    CameraName,
    Command,
    Desired,
    Event,
    Message,
    Percentiles,
    Reply,
    Reported,
    ResultMessage,
    Sample,
    Segment,
    SeqRange,
    State,
    Telemetry,
    decode,
    encode,
    plain_json,
    schemas,
    topic_of,
)
from edgesdk_targets.messages.wire import MAX_INFLATED_BYTES, MAX_PAYLOAD_BYTES

AT = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=timezone.utc)
HEAD: dict[str, Any] = {"node": "local.cam1", "at": AT}
UP: dict[str, Any] = {**HEAD, "epoch": "e1", "seq": 7}
RESULT = ResultMessage(
    **UP,
    camera="door",
    frame=3,
    captured_at=AT,
    age_ms=12.5,
    latency_ms={"infer": 4.25},
    bundle=BundleName(name="m", version="1.0.0", digest="sha256:ab"),
    result={"kind": "detections", "objects": [{"class_id": 1, "label": "cat", "score": 0.9, "box": [1, 2, 3, 4]}]},
)
SAMPLE = Sample(
    at=AT, window_s=10, fps=29.9, captured=300, processed=290, dropped={"late": 10}, age_ms=Percentiles(p50=1.0)
)
EVERY: list[Message] = [
    Birth(**UP, boot_id="b1", session=1, cameras=(CameraName(name="door"),), hardware={"machine": "aarch64"}),
    State(**UP, state="online", boot_id="b1", session=1),
    RESULT,
    Telemetry(**UP, samples=(SAMPLE,)),
    Event(**UP, name="camera_lost", severity="error", message="gone", data={"tries": 3}),
    Reported(**UP, active=BundleName(name="m"), config_hash="x"),
    Reply(**UP, id="42", ok=True),
    Segment(**UP, first=7, last=9, records=(RESULT, RESULT.model_copy(update={"seq": 9}))),
    Ack(**HEAD, epoch="e1", upto=6, have=(SeqRange(first=9, last=9),), want=(SeqRange(first=7, last=8),)),
    Desired(**HEAD, version=3, state={"bundle": "m"}),
    Command(**HEAD, id="42", verb="birth", deadline=AT + timedelta(seconds=30)),
]


def _again(message: Message) -> Message:
    encoded = encode(message)
    return decode(str(topic_of(message)), encoded.payload, encoded.content_type)


def _altered(**changes: Any) -> bytes:
    document = {**json.loads(encode(RESULT).payload), **changes}
    return json.dumps(document).encode()


TOPIC = "edgesdk/1/local.cam1/up/result"


@pytest.mark.parametrize("message", EVERY, ids=lambda m: m.kind)
def test_what_is_written_is_read(message: Message) -> None:
    assert _again(message) == message


def test_a_result_is_one_plain_json_document() -> None:
    document = json.loads(encode(RESULT).payload)
    assert document["schema"] == "result/1"
    assert document["at"] == "2026-01-31T12:00:00.123Z"
    assert (document["node"], document["epoch"], document["seq"]) == ("local.cam1", "e1", 7)
    assert document["result"]["objects"][0]["label"] == "cat"
    assert encode(RESULT).content_type == JSON


def test_times_are_written_in_utc_whatever_their_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert b'"at":"2026-01-31T12:00:00.123Z"' in encode(RESULT.model_copy(update={"at": elsewhere})).payload


def test_telemetry_is_deflated_above_one_kilobyte_and_results_never() -> None:
    small, big = Telemetry(**UP, samples=(SAMPLE,)), Telemetry(**UP, samples=(SAMPLE,) * 60)
    assert encode(small).content_type == JSON
    encoded = encode(big)
    assert encoded.content_type == DEFLATED
    assert len(encoded.payload) < len(zlib.decompress(encoded.payload)) / 10
    assert _again(big) == big
    long = RESULT.model_copy(update={"result": {"kind": "text", "text": "a" * 5000}})
    assert encode(long).content_type == JSON


def test_unknown_fields_are_ignored_and_a_later_minor_reader_loses_nothing() -> None:
    assert decode(TOPIC, _altered(invented=1)) == RESULT


@pytest.mark.parametrize("schema", ["result/2", "result", "result/", "tele/1", "result/1.1", ""])
def test_an_unknown_schema_is_refused_by_its_name(schema: str) -> None:
    # A later major may differ everywhere, so nothing else may be complained about first.
    with pytest.raises(InputError, match="field schema"):
        decode(TOPIC, _altered(schema=schema, camera=5, frame="x"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("age_ms", "12"),
            ("age_ms", -1),
            ("age_ms", None),
            ("frame", 1.5),
            ("frame", "3"),
            ("frame", -1),
            ("frame", 2**64),
        ),
        *(
            ("seq", True),
            ("epoch", ""),
            ("epoch", "a/b"),
            ("node", "cam1"),
            ("camera", 5),
            ("at", 1769860800),
            ("at", "soon"),
        ),
        *(
            ("at", "2026-01-31T12:00:00"),
            ("latency_ms", {"infer": "4"}),
            ("result", []),
            ("result", {}),
            ("bundle", "m"),
        ),
        ("result", {"kind": 3}),
        ("latency_ms", {str(i): 1.0 for i in range(99)}),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(InputError) as wrong:
        decode(TOPIC, _altered(**{field: value}))
    assert f"field {field}" in wrong.value.message
    assert TOPIC in wrong.value.message


@pytest.mark.parametrize("field", ["schema", "node", "epoch", "seq", "camera", "result"])
def test_a_missing_field_is_named(field: str) -> None:
    document = json.loads(encode(RESULT).payload)
    del document[field]
    with pytest.raises(InputError, match=f"field {field}: is required"):
        decode(TOPIC, json.dumps(document).encode())


def test_a_device_cannot_speak_for_another() -> None:
    with pytest.raises(InputError, match="field node"):
        decode("edgesdk/1/local.cam2/up/result", encode(RESULT).payload)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    text = encode(RESULT).payload.replace(b'"age_ms":12.5', f'"age_ms":{number}'.encode())
    with pytest.raises(InputError, match="field age_ms"):
        decode(TOPIC, text)
    inside = encode(RESULT).payload.replace(b'"score":0.9', f'"score":{number}'.encode())
    with pytest.raises(InputError, match="field result"):
        decode(TOPIC, inside)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_does_not_have_cannot_be_said(value: float) -> None:
    with pytest.raises(ValidationError):
        ResultMessage(**UP, camera="a", frame=0, captured_at=AT, age_ms=value, result={"kind": "x"})
    with pytest.raises(ValidationError):
        ResultMessage(
            **UP, camera="a", frame=0, captured_at=AT, age_ms=1.0, result={"kind": "x", "deep": [{"v": value}]}
        )
    with pytest.raises(ValidationError):
        Sample(at=AT, fps=value)


@pytest.mark.parametrize("depth", [20, 1_000, 100_000])
def test_deep_json_is_refused(depth: int) -> None:
    deep = b'{"kind":"x","v":' + b"[" * depth + b"]" * depth + b"}"
    payload = encode(RESULT.model_copy(update={"result": {"kind": "x"}})).payload.replace(b'{"kind":"x"}', deep)
    with pytest.raises(InputError):
        decode(TOPIC, payload)


def test_size_is_bounded_on_both_sides() -> None:
    with pytest.raises(InputError, match="more than"):
        decode(TOPIC, b" " * (MAX_PAYLOAD_BYTES + 1))
    huge = RESULT.model_copy(update={"result": {"kind": "text", "text": "a" * MAX_PAYLOAD_BYTES}})
    with pytest.raises(InputError, match="larger than") as wrong:
        encode(huge)
    assert wrong.value.hint


def test_a_deflate_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(b" " * (200 << 20), 9)
    assert len(bomb) < MAX_PAYLOAD_BYTES, "the control: it passes the first bound"
    with pytest.raises(InputError, match=str(MAX_INFLATED_BYTES)):
        decode("edgesdk/1/local.cam1/up/tele", bomb, DEFLATED)


def test_damaged_deflate_is_refused() -> None:
    topic, whole = "edgesdk/1/local.cam1/up/tele", encode(Telemetry(**UP, samples=(SAMPLE,) * 60))
    for damaged in (whole.payload[:-5], whole.payload[1:], whole.payload + b"x", b"", b"plain"):
        with pytest.raises(InputError):
            decode(topic, damaged, DEFLATED)
    assert decode(topic, whole.payload, DEFLATED)


def test_an_unknown_content_type_is_refused() -> None:
    with pytest.raises(InputError, match="content type"):
        decode(TOPIC, encode(RESULT).payload, "application/cbor")
    assert decode(TOPIC, encode(RESULT).payload, "") == RESULT


def test_snapshots_are_not_messages() -> None:
    with pytest.raises(InputError, match="up/snap"):
        decode("edgesdk/1/local.cam1/up/snap", b"\xff\xd8")


@given(
    payload=st.binary(max_size=300), content_type=st.sampled_from(["", JSON, DEFLATED]), message=st.sampled_from(EVERY)
)
def test_bytes_from_anywhere_are_refused_and_never_crash(payload: bytes, content_type: str, message: Message) -> None:
    with pytest.raises(InputError):
        decode(str(topic_of(message)), payload, content_type)


@given(
    message=st.sampled_from(EVERY),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
    data=st.data(),
)
def test_any_value_in_any_field_is_read_or_refused(message: Message, value: object, data: st.DataObject) -> None:
    document = json.loads(plain_json(encode(message)))
    document[data.draw(st.sampled_from(sorted(document)))] = value
    try:
        decode(str(topic_of(message)), json.dumps(document).encode())
    except InputError as error:
        assert error.message  # noqa: PT017  (either outcome is right; a crash is not)


def test_the_schemas_cover_every_message_and_match_what_is_sent() -> None:
    exported = schemas()
    assert set(exported) == {f"{m.kind}/1" for m in EVERY} | {"gap/1"}
    for message in EVERY:
        schema = exported[f"{message.kind}/1"]
        properties: Any = schema["properties"]
        assert set(json.loads(plain_json(encode(message)))) == set(properties)
        assert {"node", "at"} <= set(schema["required"])  # type: ignore[call-overload]
    json.dumps(exported, allow_nan=False)


def test_a_range_is_ordered() -> None:
    with pytest.raises(ValidationError):
        SeqRange(first=3, last=2)


def _documented() -> list[dict[str, Any]]:
    text = (Path(__file__).parents[2] / "docs/mqtt.md").read_text()
    return [json.loads(part.split("```", 1)[0]) for part in text.split("```json\n")[1:]]


@pytest.mark.parametrize("document", _documented(), ids=lambda d: d["schema"])
def test_the_documented_messages_are_valid_and_complete(document: dict[str, Any]) -> None:
    channel = "up/" + document["schema"].partition("/")[0]
    message = decode(f"edgesdk/1/{document['node']}/{channel}", json.dumps(document).encode())
    assert json.loads(encode(message).payload) == document


def test_every_message_of_a_frame_loop_is_documented() -> None:
    assert {d["schema"] for d in _documented()} >= {"result/1", "tele/1", "birth/1", "state/1", "event/1"}
