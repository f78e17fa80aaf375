"""Finds, in a group that cannot be written, the report that is to blame, and makes a refusal of it.

The decoder refuses what it does not understand; this is for what it takes and the database does not. Without it one
message of one device would stop the whole fleet's record, and again after each start.
"""

from __future__ import annotations

import json

from edgesdk.fleet.store.batch import DeclaredGap, Kind, Picture, Presence, Reading, Record, Refusal
from edgesdk.fleet.store.quarantine import KEPT_BYTES
from edgesdk_targets.topics import Channel, Node, Topic

_CHANNELS = {
    Kind.RESULT: Channel.RESULT,
    Kind.TELEMETRY: Channel.TELEMETRY,
    Kind.EVENT: Channel.EVENT,
    Kind.BIRTH: Channel.BIRTH,
    Kind.STATE: Channel.STATE,
    Kind.REPORTED: Channel.REPORTED,
}


def halves(reading: Reading) -> tuple[Reading, Reading] | None:
    """Return a group as two; None where it cannot be parted."""
    parts = [Reading(records=[record]) for record in reading.records]
    parts += [Reading(gaps=[gap]) for gap in reading.gaps]
    parts += [Reading(presences=[presence]) for presence in reading.presences]
    parts += [Reading(pictures=[picture]) for picture in reading.pictures]
    parts += [Reading(refusals=[refusal]) for refusal in reading.refusals]
    if not parts[1:]:
        return None
    middle = len(parts) // 2
    first, second = Reading(), Reading()
    for number, part in enumerate(parts):
        (first if number < middle else second).add(part)
    return first, second


def refused(reading: Reading, reason: str) -> Reading:
    """Return refusals in place of what cannot be written; the numbers of reports count as settled by them."""
    refusals = [
        _refusal(record, _CHANNELS[record.kind], record.body.encode("utf-8", "replace"), reason, record.seq)
        for record in reading.records
    ]
    refusals += [_refusal(gap, Channel.EVENT, json.dumps(gap.span).encode(), reason) for gap in reading.gaps]
    refusals += [
        _refusal(said, _CHANNELS[said.kind], said.body.encode("utf-8", "replace"), reason) for said in reading.presences
    ]
    refusals += [_refusal(picture, Channel.SNAPSHOT, picture.jpeg, reason) for picture in reading.pictures]
    return Reading(refusals=refusals + reading.refusals)


def _refusal(
    said: Record | DeclaredGap | Presence | Picture, channel: Channel, body: bytes, reason: str, seq: int = 0
) -> Refusal:
    topic = str(Topic(Node.parse(said.stream.node), channel))
    return Refusal(topic, reason, body[:KEPT_BYTES], len(body), said.stream if seq else None, seq)
