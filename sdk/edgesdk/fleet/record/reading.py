"""One message as it came becomes what is stored of it: rules without a clock, a socket or a file.

Whatever comes, this returns: what cannot be read becomes a refusal. Where at least the place of the unreadable in its
device's sequence can be read, the refusal names it, and it counts as settled: a device of a later version, or one that is
broken, must not send it for ever. Of a segment, each record is read by itself then, so that one bad record costs one.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.record.batch import DeclaredGap, Kind, Presence, Reading, Record, Refusal, Stream
from edgesdk.fleet.record.quarantine import KEPT_BYTES
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import (
    JSON,
    Birth,
    Event,
    Message,
    Reported,
    ResultMessage,
    Segment,
    State,
    Telemetry,
    UpMessage,
    decode,
    gap_of,
    inflate,
)
from edgesdk_targets.messages.envelope import MAX_SEQ
from edgesdk_targets.messages.segment import MAX_SEGMENT_RECORDS
from edgesdk_targets.topics import Channel, Topic

RECORDED = (
    Channel.RESULT,
    Channel.TELEMETRY,
    Channel.EVENT,
    Channel.SEGMENT,
    Channel.BIRTH,
    Channel.STATE,
    Channel.REPORTED,
)
_IN_SEQUENCE: dict[type[Message], Kind] = {
    ResultMessage: Kind.RESULT,
    Telemetry: Kind.TELEMETRY,
    Event: Kind.EVENT,
}
_OUTSIDE: dict[type[Message], Kind] = {Birth: Kind.BIRTH, State: Kind.STATE, Reported: Kind.REPORTED}
# Where a record of a segment would have been said alone, by the kind in its schema.
_CHANNELS = {"result": Channel.RESULT, "tele": Channel.TELEMETRY, "event": Channel.EVENT}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
# A time near the ends of the calendar, in a zone of its own, is none of UTC's.
_EARLIEST_MS = (datetime(2, 1, 1, tzinfo=timezone.utc) - _1970) // _MILLISECOND
_LATEST_MS = (datetime(9999, 1, 1, tzinfo=timezone.utc) - _1970) // _MILLISECOND


def read(received: Received) -> Reading:
    """Read one message; never raises."""
    try:
        return _read(received)
    except InputError as error:
        return _salvage(received, error.message)
    except Exception as error:  # noqa: BLE001  (the border: whatever the world sends, the recorder lives)
        return _salvage(received, f"{type(error).__name__}: {error}")


def _read(received: Received) -> Reading:
    message = decode(received.topic, received.payload, received.content_type)
    text = inflate(received.payload, received.content_type, received.topic).decode()
    reading = Reading()
    if isinstance(message, Segment):
        for record, raw in zip(message.records, json.loads(text)["records"], strict=True):
            # As it was said, with fields of a later version too.
            _add(reading, record, json.dumps(raw, separators=(",", ":"), allow_nan=False))
    elif isinstance(message, UpMessage):
        _add(reading, message, text)
    return reading


def _add(reading: Reading, message: UpMessage, text: str) -> None:
    stream = Stream(message.node, message.epoch)
    at_ms = min(max((message.at - _1970) // _MILLISECOND, _EARLIEST_MS), _LATEST_MS)
    if (kind := _OUTSIDE.get(type(message))) is not None:
        reading.presences.append(Presence(stream, kind, at_ms, text))
        return
    if message.seq < 1:
        raise InputError(f"A report of {message.node}: field seq: counts from 1.", hint="")
    reading.records.append(Record(stream, message.seq, _IN_SEQUENCE[type(message)], at_ms, text))
    gap = gap_of(message) if isinstance(message, Event) else None
    for part in gap.ranges if gap is not None else ():
        reports = {str(kind): count for kind, count in part.reports.items()}
        span = (part.first, part.last)
        reading.gaps.append(DeclaredGap(stream, span, message.seq, at_ms, part.cause.value, reports))


def _salvage(received: Received, reason: str) -> Reading:
    """Refuse a message, and find out what its device need not send again."""
    refusal = Refusal(received.topic, reason, received.payload[:KEPT_BYTES], len(received.payload))
    try:
        topic = Topic.parse(received.topic)
        document = json.loads(inflate(received.payload, received.content_type, received.topic))
    except (InputError, ValueError, RecursionError):
        return Reading(refusals=[refusal])
    if topic.channel is Channel.SEGMENT and isinstance(document, dict):
        return _salvage_records(received, topic, document, refusal)
    if topic.channel not in _CHANNELS.values():
        return Reading(refusals=[refusal])
    place = _place(topic, document)
    if place is None:
        return Reading(refusals=[refusal])
    return Reading(refusals=[Refusal(refusal.topic, reason, refusal.payload, refusal.size_bytes, *place)])


def _salvage_records(received: Received, topic: Topic, segment: dict[str, Any], refusal: Refusal) -> Reading:
    reading = Reading(refusals=[refusal])
    records = segment.get("records")
    for record in records[:MAX_SEGMENT_RECORDS] if isinstance(records, list) else ():
        if not isinstance(record, dict):
            continue
        channel = _CHANNELS.get(str(record.get("schema")).partition("/")[0], Channel.EVENT)
        alone = json.dumps(record, separators=(",", ":")).encode()
        reading.add(read(Received(str(Topic(topic.node, channel)), alone, JSON, qos=received.qos)))
    return reading


def _place(topic: Topic, document: Any) -> tuple[Stream, int] | None:
    """Return where in its device's sequence a message stands, if it says so."""
    if not isinstance(document, dict) or document.get("node") != str(topic.node):
        return None
    epoch, seq = document.get("epoch"), document.get("seq")
    if not isinstance(epoch, str) or not _TOKEN.fullmatch(epoch):
        return None
    if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq <= MAX_SEQ:
        return None
    return Stream(str(topic.node), epoch), seq
