"""One message as it came becomes what is stored of it: rules without a clock, a socket or a file.

Whatever comes, this returns: what cannot be read becomes a refusal. Where at least the place of the unreadable in its
device's sequence can be read, the refusal names it, and it counts as settled: a device of a later version, or one that is
broken, must not send it for ever. Of a segment, each record is read by itself then, so that one bad record costs one.
"""

from __future__ import annotations

import json
import re
from typing import Any

from edgesdk.fleet.collect.report_parts import Said, parts_of
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import DeclaredGap, Kind, Picture, Presence, Reading, Record, Refusal, Stream
from edgesdk.fleet.store.quarantine import KEPT_BYTES
from edgesdk_targets.errors import InputError, OtherNode
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
from edgesdk_targets.messages.snapshot import decode_snapshot
from edgesdk_targets.topics import Channel, Topic

# What comes to one of several collectors, and what the broker keeps and gives to each.
IN_SEQUENCE = (Channel.RESULT, Channel.TELEMETRY, Channel.EVENT, Channel.SEGMENT, Channel.SNAPSHOT)
OUTSIDE = (Channel.BIRTH, Channel.STATE, Channel.REPORTED)
_IN_SEQUENCE: dict[type[Message], Kind] = {
    ResultMessage: Kind.RESULT,
    Telemetry: Kind.TELEMETRY,
    Event: Kind.EVENT,
}
_OUTSIDE: dict[type[Message], Kind] = {Birth: Kind.BIRTH, State: Kind.STATE, Reported: Kind.REPORTED}
# Where a record of a segment would have been said alone, by the kind in its schema.
_CHANNELS = {"result": Channel.RESULT, "tele": Channel.TELEMETRY, "event": Channel.EVENT}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(received: Received) -> Reading:
    """Read one message; never raises."""
    try:
        return _read(received)
    except OtherNode as error:
        refusal = Refusal(
            received.topic, error.message, received.payload[:KEPT_BYTES], len(received.payload), says=error.says
        )
        return Reading(refusals=[refusal])
    except InputError as error:
        return _salvage(received, error.message)
    except Exception as error:  # noqa: BLE001  (the border: whatever the world sends, the recorder lives)
        return _salvage(received, f"{type(error).__name__}: {error}")


def _read(received: Received) -> Reading:
    if received.topic.endswith(f"/{Channel.SNAPSHOT.value}"):
        return _read_snapshot(received)
    message = decode(received.topic, received.payload, received.content_type)
    text = inflate(received.payload, received.content_type, received.topic).decode()
    reading = Reading()
    if type(message) is Segment:
        for record, raw in zip(message.records, json.loads(text)["records"], strict=True):
            # As it was said, with fields of a later version too.
            as_said = json.dumps(raw, separators=(",", ":"), allow_nan=False)
            _add(reading, record, as_said, Said(received.received_ms, live=False))
    elif isinstance(message, UpMessage):
        _add(reading, message, text, Said(received.received_ms, live=True, retained=received.retained))
    return reading


def _read_snapshot(received: Received) -> Reading:
    snapshot = decode_snapshot(received.topic, received.payload)
    at_ms = Said(received.received_ms, live=True).time_of(snapshot)
    stream = Stream(snapshot.node, snapshot.epoch)
    return Reading(pictures=[Picture(stream, at_ms, snapshot, received.payload)])


def _add(reading: Reading, message: UpMessage, text: str, how: Said) -> None:
    stream = Stream(message.node, message.epoch)
    at_ms = how.time_of(message)
    if (kind := _OUTSIDE.get(type(message))) is not None:
        reading.presences.append(Presence(stream, kind, at_ms, text, message, how.retained))
        return
    if message.seq < 1:
        raise InputError(f"A report of {message.node}: field seq: counts from 1.", hint="")
    reading.records.append(
        Record(stream, message.seq, _IN_SEQUENCE[type(message)], at_ms, text, how.live, **parts_of(message, at_ms, how))
    )
    gap = gap_of(message) if type(message) is Event else None
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
        reading.add(
            read(
                Received(
                    str(Topic(topic.node, channel)), alone, JSON, qos=received.qos, received_ms=received.received_ms
                )
            )
        )
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
