"""From bytes of the wire to what is stored; and whatever else comes, which is refused, counted, and ends nothing."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Kind, Reading, Stream
from edgesdk_targets.messages import (
    DEFLATED,
    Birth,
    Encoded,
    Event,
    Gap,
    GapCause,
    GapRange,
    Message,
    ResultMessage,
    Sample,
    Telemetry,
    encode,
    pack_segment,
    plain_json,
    topic_of,
)
from edgesdk_testkit.malformed import messages

AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
UP: dict[str, Any] = {"node": "local.cam1", "at": AT, "epoch": "e1"}
CAM = Stream("local.cam1", "e1")
SEGMENT = "edgesdk/1/local.cam1/up/segment"


def _result(seq: int) -> ResultMessage:
    return ResultMessage(**UP, seq=seq, camera="door", frame=seq, captured_at=AT, age_ms=1.0, result={"kind": "text"})


def _read(message: Message) -> Reading:
    body = encode(message)
    return read(Received(str(topic_of(message)), body.payload, body.content_type))


def _packed(*bodies: tuple[int, dict[str, Any]]) -> Reading:
    records = [(seq, json.dumps(body).encode()) for seq, body in bodies]
    return read(Received(SEGMENT, pack_segment("local.cam1", AT, "e1", records), DEFLATED))


def _plain(seq: int) -> dict[str, Any]:
    return dict(json.loads(plain_json(encode(_result(seq)))))


def test_a_result_is_one_record_with_the_message_as_it_was_said() -> None:
    # A field of a later version is nothing that this one understands, and it is kept all the same.
    payload = json.dumps({**_plain(7), "later": 1}).encode()
    (record,) = read(Received("edgesdk/1/local.cam1/up/result", payload)).records
    assert (record.stream, record.seq, record.kind, record.at_ms) == (CAM, 7, Kind.RESULT, 1769860800000)
    assert record.body == payload.decode()


def test_deflated_telemetry_is_stored_as_text() -> None:
    (record,) = _read(Telemetry(**UP, seq=2, samples=(Sample(at=AT),) * 50)).records
    assert record.kind is Kind.TELEMETRY
    assert len(json.loads(record.body)["samples"]) == 50


def test_birth_stands_outside_the_sequence() -> None:
    reading = _read(Birth(**UP, seq=12, boot_id="b", session=1))
    assert reading.records == []
    assert [(p.stream, p.kind) for p in reading.presences] == [(CAM, Kind.BIRTH)]


def test_a_gap_is_an_event_and_says_what_is_gone() -> None:
    gap = Gap.of(
        [
            GapRange(first=3, last=4, cause=GapCause.BUDGET, reports={"result": 2}),
            GapRange(first=8, last=9, cause=GapCause.CRASH),
        ]
    )
    reading = _read(Event(**UP, seq=10, name="gap", data=gap.to_data()))
    assert [(r.seq, r.kind) for r in reading.records] == [(10, Kind.EVENT)]
    assert [(g.span, g.cause, dict(g.reports), g.declared_seq) for g in reading.gaps] == [
        ((3, 4), "budget", {"result": 2}, 10),
        ((8, 9), "crash", {}, 10),
    ]


def test_what_calls_itself_a_gap_and_is_none_is_refused_and_settled() -> None:
    reading = _read(Event(**UP, seq=10, name="gap", data={"ranges": [{"first": 5, "last": 2}]}))
    (refusal,) = reading.refusals
    assert (refusal.stream, refusal.seq, reading.gaps) == (CAM, 10, [])


def test_a_segment_is_its_records_with_fields_that_came_later() -> None:
    reading = _packed((3, {**_plain(3), "later": "é"}), (5, _plain(5)))
    assert [(r.seq, r.kind) for r in reading.records] == [(3, Kind.RESULT), (5, Kind.RESULT)]
    assert json.loads(reading.records[0].body)["later"] == "é"


def test_one_bad_record_of_a_segment_costs_one_record() -> None:
    later = {**_plain(4), "schema": "result/2"}
    reading = _packed((3, _plain(3)), (4, later), (5, {**_plain(5), "node": "local.other"}), (6, _plain(6)))
    assert [r.seq for r in reading.records] == [3, 6]
    # The segment itself; the record of a later version, whose place is known; and one that speaks for another device.
    assert [(r.stream, r.seq) for r in reading.refusals] == [(None, 0), (CAM, 4), (None, 0)]


def test_an_unreadable_birth_settles_no_number() -> None:
    payload = encode(Birth(**UP, seq=12, boot_id="b", session=1)).payload.replace(b'"boot_id":"b"', b'"boot_id":"?"')
    (refusal,) = read(Received("edgesdk/1/local.cam1/up/birth", payload)).refusals
    assert refusal.stream is None


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    (refusal,) = read(Received(SEGMENT, zlib.compress(b" " * (200 << 20), 9)[: 256 << 10], DEFLATED)).refusals
    assert "inflates to more than" in refusal.reason
    assert len(refusal.payload) <= 4096


@settings(max_examples=600, deadline=None)
@given(messages(), st.sampled_from(["local.cam1", "local.cam2", "cam", "a/b", "#"]))
def test_whatever_comes_becomes_rows_or_a_refusal(message: tuple[str, Encoded], node: str) -> None:
    channel, body = message
    reading = read(Received(f"edgesdk/1/{node}/up/{channel}", body.payload, body.content_type))
    assert reading.rows >= 1
    assert all(r.stream.node == node and r.seq >= 1 for r in reading.records)
    assert all(len(r.payload) <= 4096 for r in reading.refusals)
    for record in reading.records:
        assert isinstance(json.loads(record.body), dict)
        record.body.encode()


@pytest.mark.parametrize(
    ("said", "trusted", "believed"),
    [
        ("2026-01-28T12:00:00.123Z", True, True),
        ("2026-01-31T23:00:00Z", True, True),
        ("1970-01-01T00:00:10Z", True, False),
        ("2019-12-31T23:59:59.999Z", True, False),
        ("2026-02-02T12:00:00Z", True, False),
        ("2026-01-31T12:00:00Z", False, False),
    ],
    ids=["days ago", "ahead by hours", "1970", "before there was any", "ahead by days", "not trusted"],
)
def test_a_clock_that_cannot_be_right_is_not_believed(said: str, trusted: bool, believed: bool) -> None:
    came_ms = 1_769_860_800_000
    payload = json.dumps({**_plain(7), "at": said, "clock_trusted": trusted}).encode()
    (record,) = read(Received("edgesdk/1/local.cam1/up/result", payload, received_ms=came_ms)).records
    own = datetime.fromisoformat(said.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert record.at_ms == (own // timedelta(milliseconds=1) if believed else came_ms)
    # What nobody timed keeps its own.
    (alone,) = read(Received("edgesdk/1/local.cam1/up/result", payload)).records
    assert alone.at_ms == own // timedelta(milliseconds=1)
