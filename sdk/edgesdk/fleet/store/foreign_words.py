"""Messages on one device's topic that say that they are of another, told as an event of the fleet's own: refused they are anyway.

A broker with access rules lets nobody write there but the device itself, and says to nobody else who wrote. So whoever sees such a
message knows that the rules are missing. One event for a device in ten minutes, and thirty in all, say how many there were: who may
write there can make up names without end.

The events table holds them as number 0 of streams, which no device has.
"""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, insert, select

from edgesdk.fleet.store.batch import Refusal
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import events, nodes
from edgesdk_targets.topics import Topic

EVENT = "spoofed_topic"
# The fleet's own, beside those of devices, which count from 1.
FLEET_STREAM = 0
_APART_MS = 600_000
_MOST = 30
_MOST_REMEMBERED = 1000
_TOPIC_CHARACTERS = 300
# A statement takes only so many values.
_ASKED_AT_ONCE = 500


@dataclass(slots=True)
class _Gathered:
    """What came on a device's topics: when that was told last, and how many since."""

    told_ms: int | None = None
    count: int = 0


class ForeignWords:
    """Tells of such messages, as one collector sees them; used by its writer alone."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, _Gathered] = OrderedDict()
        # Apart from that: names are made up to push others out.
        self._told_ms: deque[int] = deque(maxlen=_MOST)
        # What holds once the transaction is committed.
        self._pending: dict[str, _Gathered] = {}

    def add(self, connection: Connection, refusals: Sequence[Refusal], received_ms: int) -> None:
        """Write what may be told of what was refused, in the caller's transaction, which `committed` follows."""
        self._pending = {}
        foreign = [(str(Topic.parse(one.topic).node), one) for one in refusals if one.says]
        if not foreign:
            return
        counts, last = Counter(node for node, _ in foreign), dict(foreign)
        rows = _rows(connection, {name for node, one in last.items() for name in (node, one.says)})
        # Of two that nobody knows there is nothing to tell; the quarantine has it.
        worth = [node for node, one in last.items() if node in rows or one.says in rows]
        # Names that were made up hide no device's own topic, however many come before it.
        worth.sort(key=lambda node: node not in rows)
        left = self._room(received_ms)
        for node in worth[:_MOST]:
            one, known = last[node], self._found.get(node, _Gathered())
            gathered = _Gathered(known.told_ms, known.count + counts[node])
            if left > 0 and not _is_recent(known.told_ms, received_ms):
                _tell(connection, rows[node if node in rows else one.says], node, one, gathered.count, received_ms)
                gathered, left = _Gathered(received_ms), left - 1
            self._pending[node] = gathered

    def committed(self) -> None:
        """Take note that the transaction of the last `add` is on the disk."""
        self._told_ms.extend(one.told_ms for one in self._pending.values() if one.told_ms is not None and not one.count)
        for node, gathered in self._pending.items():
            self._found[node] = gathered
            self._found.move_to_end(node)
        self._pending = {}
        while len(self._found) > _MOST_REMEMBERED:
            self._found.popitem(last=False)

    def _room(self, now_ms: int) -> int:
        return _MOST - sum(_is_recent(told_ms, now_ms) for told_ms in self._told_ms)


def _is_recent(told_ms: int | None, now_ms: int) -> bool:
    # One that was told in the future was so by a clock that was put back since.
    return told_ms is not None and 0 <= now_ms - told_ms < _APART_MS


def _tell(connection: Connection, row: int, node: str, one: Refusal, count: int, now_ms: int) -> None:
    many = f", the last of {count} since the last event" if count > 1 else ""
    topic, says = plain_text(one.topic, _TOPIC_CHARACTERS), plain_text(one.says, _TOPIC_CHARACTERS)
    message = (
        f"A message on {topic} says that it is of {says}{many}: refused. Whoever sent it may write where only {node} should: "
        "give the broker access rules (edgesdk fleet broker-config)."
    )
    connection.execute(
        insert(events).values(
            stream=FLEET_STREAM, seq=secrets.randbits(62), node=row, at_ms=now_ms, received_ms=now_ms, name=EVENT,
            severity="warning", message=message, data={"topic": topic, "says": says, "count": count},
        )
    )  # fmt: skip


def _rows(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    left, found = iter(sorted(names)), dict[str, int]()
    while part := list(islice(left, _ASKED_AT_ONCE)):
        asked = select(nodes.c.name, nodes.c.id).where(nodes.c.name.in_(part))
        found |= {one.name: one.id for one in connection.execute(asked)}
    return found
