"""Reports as a table: word for word what they were, small, and harmless whoever wrote it."""

from __future__ import annotations

import json
import random
import zlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import (
    COLUMNS,
    ResultMessage,
    Segment,
    decode,
    deflated_segment,
    encode,
    pack_segment_as_table,
    unpack_segment,
)
from edgesdk_targets.messages.columns import MARK, pack_columns, unpack_columns

AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
TOPIC = "edgesdk/1/local.cam1/up/segment"
MOST = 1 << 20
# Numbers and times as JSON may write them, and as we never would; each must come back as it was.
WORDS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
    st.floats(-1e4, 1e4).map(lambda value: json.dumps(round(value, 3))),
    st.sampled_from(
        ["0.0", "-0.0", "-0", "1.50", "0012", "1e5", "9223372036854775807", "-9223372036854775808", "null", "true"]
    ),
    st.sampled_from(
        [
            '"2026-01-31T12:00:00.000Z"',
            '"2026-02-31T12:00:00.000Z"',
            '"0000-00-00T99:00:00.000Z"',
            '"9999-12-31T23:59:59.999Z"',
        ]
    ),
    st.text(max_size=8).map(json.dumps),
)
DOCUMENTS = st.lists(
    st.lists(st.tuples(st.sampled_from(["seq", "at", "box", "é", 'a"b:1,']), WORDS), max_size=5).map(
        lambda pairs: "{" + ",".join(f"{json.dumps(key)}:{word}" for key, word in pairs) + "}"
    ),
    max_size=12,
)


def as_told(count: int) -> list[tuple[int, bytes]]:
    """Return results as the agent writes them, a second apart; their numbers are random."""
    dice, told = random.Random(1), []
    for seq in range(1, count + 1):
        at = AT + timedelta(seconds=seq, milliseconds=dice.randrange(30))
        boxes = [
            {
                "label": "person",
                "score": round(dice.random(), 4),
                "box": [round(dice.uniform(0, 640), 2) for _ in range(4)],
            }
            for _ in range(2)
        ]
        age_ms = round(dice.gauss(39, 5), 3)
        message = ResultMessage(
            node="local.cam1",
            at=at,
            epoch="e1",
            seq=seq,
            camera="door",
            frame=9 * seq,
            captured_at=at - timedelta(milliseconds=age_ms),
            age_ms=age_ms,
            result={"kind": "detections", "objects": boxes},
        )
        told.append((seq, encode(message).payload))
    return told


@given(documents=DOCUMENTS)
@example(documents=['{"n":1}', '{"n":9223372036854775807}', '{"n":-9223372036854775808}'])
@example(documents=['{"box":[1.5,2.25,-3.125],"box":[0.1]}', '{"box":[7.0,8.0,9.0],"box":[1e-05]}'])
def test_what_is_packed_comes_back_word_for_word(documents: list[str]) -> None:
    table = pack_columns('{"records":[', documents, "]}")
    assert table is not None
    assert unpack_columns(table, MOST) == ('{"records":[', documents, "]}")


def test_a_document_that_is_not_as_we_write_it_is_not_packed() -> None:
    assert pack_columns("", ['{"n":\t1}'], "") is None
    assert pack_columns("", ['{"n":\n1}'], "") is None


def test_results_take_half_of_what_deflating_leaves() -> None:
    told = as_told(90)
    table = pack_segment_as_table("local.cam1", AT, "e1", told)
    assert len(table) < 0.52 * len(zlib.compress(b",".join(body for _, body in told), 9))
    assert unpack_segment(table) == told


def test_a_table_is_the_same_message() -> None:
    told = as_told(40)
    table = pack_segment_as_table("local.cam1", AT, "e1", told)
    message = decode(TOPIC, table, COLUMNS)
    assert isinstance(message, Segment)
    assert [record.seq for record in message.records] == [seq for seq, _ in told]
    assert decode(TOPIC, deflated_segment(table), "application/json+deflate") == message


def _table(head: object, rest: bytes = b"") -> bytes:
    return MARK + zlib.compress(json.dumps(head).encode() + b"\n" + rest)


GOOD = {"before": "", "after": "", "shapes": 1, "of": [0], "columns": [["w", 0, 0, 5, 0]]}


def test_the_table_that_the_hostile_ones_are_made_of_is_read() -> None:
    assert unpack_columns(_table(GOOD, b'{"n":\t}\n'), MOST) == ("", ['{"n":5}'], "")


@pytest.mark.parametrize(
    "change",
    [
        {"of": [1]},
        {"of": [-1]},
        {"of": ["0"]},
        {"of": [True]},
        {"of": None},
        {"before": 1},
        {"shapes": 2},
        {"shapes": -1},
        {"shapes": 1 << 40},
        {"columns": []},
        {"columns": [1]},
        {"columns": [["w", 0, 0, 5, 1]]},
        {"columns": [["w", 0, 0, 5, 9]]},
        {"columns": [["w", 99, 0, 5, 0]]},
        {"columns": [["x", 0, 0, 5, 0]]},
        {"columns": [["w", 0, 0, 1 << 64, 0]]},
        {"columns": [[1]]},
        # A shape of 8 bytes that stands for a hundred million documents.
        {"of": [0] * 200_000, "columns": [["d", 6, 0, 1, 0]]},
    ],
)
def test_a_hostile_table_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="no table"):
        decode(TOPIC, _table({**GOOD, **change}, b'{"n":\t}\n'), COLUMNS)


@pytest.mark.parametrize("least", [(1 << 63) - 1, -(1 << 63), -(10**15)])
def test_a_time_that_nobody_lived_is_refused_where_it_is_read(least: int) -> None:
    with pytest.raises(InputError):
        decode(TOPIC, _table({**GOOD, "columns": [["t", 0, 0, least, 0]]}, b'{"n":\t}\n'), COLUMNS)


@given(body=st.binary(max_size=200), deflate=st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, deflate: bool) -> None:
    with pytest.raises(InputError):
        decode(TOPIC, MARK + zlib.compress(body) if deflate else body, COLUMNS)


def test_a_table_that_inflates_without_end_is_refused() -> None:
    with pytest.raises(InputError, match="inflates to more"):
        decode(TOPIC, MARK + zlib.compress(b" " * (64 << 20), 9), COLUMNS)


def test_a_small_table_cannot_stand_for_much_text() -> None:
    shape = b"x" * 10_000 + b"\n"
    with pytest.raises(ValueError, match="more than"):
        unpack_columns(_table({**GOOD, "of": [0] * 100_000, "columns": []}, shape), MOST)
