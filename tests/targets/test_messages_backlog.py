"""Segments and gaps: what a device sends late, and what it never will."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import (
    DEFLATED,
    GAP_EVENT,
    JSON,
    Event,
    Gap,
    GapCause,
    GapRange,
    ResultMessage,
    Sample,
    Segment,
    Telemetry,
    decode,
    encode,
    gap_of,
    pack_segment,
    plain_json,
    topic_of,
    unpack_segment,
)

AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
UP: dict[str, Any] = {"node": "local.cam1", "at": AT, "epoch": "e1"}
TOPIC = "edgesdk/1/local.cam1/up/segment"


def _result(seq: int, **changes: Any) -> ResultMessage:
    return ResultMessage(
        **{**UP, **changes}, seq=seq, camera="door", frame=seq, captured_at=AT, age_ms=1.0, result={"kind": "text"}
    )


def _event(seq: int, data: dict[str, Any]) -> Event:
    return Event(**UP, seq=seq, name=GAP_EVENT, data=data)


def _packed(*records: ResultMessage | Telemetry | Event) -> bytes:
    return pack_segment("local.cam1", AT, "e1", [(r.seq, plain_json(encode(r))) for r in records])


def _refused(payload: bytes) -> str:
    with pytest.raises(InputError) as refused:
        decode(TOPIC, payload, DEFLATED)
    return refused.value.message


def test_packed_records_are_read_as_the_messages_they_were() -> None:
    records = (
        _result(3),
        Telemetry(**UP, seq=5, samples=(Sample(at=AT),) * 50),
        Event(**UP, seq=9, name="camera_lost"),
    )
    segment = decode(TOPIC, _packed(*records), DEFLATED)
    assert segment == Segment(**UP, seq=3, first=3, last=9, records=records)
    assert encode(segment).content_type == DEFLATED
    assert str(topic_of(segment)) == TOPIC


def test_sixty_results_in_a_segment_are_a_tenth_of_sixty_messages() -> None:
    records = [_result(seq) for seq in range(1, 61)]
    assert len(_packed(*records)) < sum(len(encode(r).payload) for r in records) / 10


def test_a_record_of_another_device_epoch_or_kind_is_refused() -> None:
    assert "another node or epoch" in _refused(_packed(_result(1), _result(2, node="local.cam2")))
    assert "another node or epoch" in _refused(_packed(_result(1, epoch="e2")))
    strange = pack_segment("local.cam1", AT, "e1", [(1, b'{"schema":"ack/1"}')])
    assert "records" in _refused(strange)
    assert "result/1" in _refused(zlib.compress(_later_major()))


def _later_major() -> bytes:
    document = json.loads(zlib.decompress(_packed(_result(1))))
    document["records"][0]["schema"] = "result/2"
    return json.dumps(document).encode()


@pytest.mark.parametrize(("field", "value"), [("seq", 2), ("first", 2), ("last", 1), ("records", [])])
def test_a_segment_that_does_not_agree_with_its_records_is_refused(field: str, value: object) -> None:
    document = json.loads(zlib.decompress(_packed(_result(3), _result(4))))
    decode(TOPIC, zlib.compress(json.dumps(document).encode()), DEFLATED)
    document[field] = value
    _refused(zlib.compress(json.dumps(document).encode()))


def test_records_in_disorder_or_twice_are_refused() -> None:
    assert "order" in _refused(_packed(_result(4), _result(3)))
    assert "order" in _refused(_packed(_result(3), _result(3)))


def test_a_gap_travels_in_an_event_and_is_counted() -> None:
    gap = Gap.of(
        [
            GapRange(first=900, last=1000, cause=GapCause.CRASH),
            GapRange(first=2, last=4, cause=GapCause.BUDGET, reports={"telemetry": 2, "result": 1}),
            GapRange(first=7, last=7, cause=GapCause.EXPIRED, reports={"telemetry": 1}),
        ]
    )
    encoded = encode(_event(11, gap.to_data()))
    assert encoded.content_type == JSON
    event = decode("edgesdk/1/local.cam1/up/event", encoded.payload)
    assert isinstance(event, Event)
    assert gap_of(event) == gap
    assert [part.first for part in gap.ranges] == [2, 7, 900]
    assert gap.lost == {"telemetry": 3, "result": 1}
    assert "3 telemetry" in gap.in_words()
    assert gap_of(event.model_copy(update={"name": "camera_lost"})) is None


@pytest.mark.parametrize(
    "part",
    [
        {"first": 1, "last": 3, "cause": "budget", "reports": {"result": 2}},
        {"first": 1, "last": 3, "cause": "budget"},
        {"first": 1, "last": 3, "cause": "crash", "reports": {"result": 3}},
        {"first": 3, "last": 1, "cause": "crash"},
        {"first": 1, "last": 1, "cause": "budget", "reports": {"picture": 1}},
        {"first": 1, "last": 1, "cause": "tired"},
    ],
)
def test_a_gap_whose_counts_do_not_add_up_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"data\.ranges"):
        gap_of(_event(1, {"ranges": [part]}))


def test_ranges_of_a_gap_do_not_overlap() -> None:
    parts = [GapRange(first=1, last=4, cause=GapCause.CRASH), GapRange(first=4, last=6, cause=GapCause.CRASH)]
    with pytest.raises(ValidationError):
        Gap.of(parts)
    with pytest.raises(InputError):
        gap_of(_event(1, {}))


@given(
    data=st.dictionaries(
        st.sampled_from(["ranges", "x"]), st.recursive(st.none() | st.integers() | st.text(), st.lists)
    )
)
def test_any_body_of_a_gap_is_read_or_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        gap_of(_event(1, data))


def test_a_segment_gives_back_word_for_word_what_was_packed() -> None:
    # Spaces, an escaped quote, brackets in a text and a number that a second writing would change.
    bodies = [(3, b'{"seq": 3,"message":"a \\"]}, b","n":1.50}'), (7, '{"seq":7,"message":"é"}'.encode())]
    assert unpack_segment(pack_segment("local.cam1", AT, "e1", bodies)) == bodies


@pytest.mark.parametrize("body", [b"", b"no deflate", zlib.compress(b"{}"), zlib.compress(b'{"records":[{"seq":1}')])
def test_what_is_no_segment_is_not_unpacked(body: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        unpack_segment(body)
