"""How each device is at this moment: gathered from what is committed, and written at most every few seconds for each.

A list of ten thousand devices must be one look at one narrow table; but ten thousand devices that speak every second
must not cost ten thousand further writes a second. What is gathered and not yet written is lost with the process, and
comes again with the device's next word.

Our clock may be set back. What was written before then lies in the future: it gives way to whatever comes, and of devices
that say nothing more it is moved to the present, from which their silence counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, text

from edgesdk.fleet.result_text import result_text
from edgesdk.fleet.store.batch import Kind, Record, SampleRow
from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.figures import FIGURES
from edgesdk.fleet.store.many_rows import with_values
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import now

WRITE_EVERY_MS = 5000
# Events are what people wait for.
_EVENT_AFTER_MS = 500
_SAYS_CHARACTERS = 200
# Beyond this a time is not late news of another collector's clock, but of one that was set.
_AHEAD_MS = 60_000

# What belongs to the same moment is written together, if it is not older than what stands there.
_GROUPS = {
    "sample_ms": ("sample_ms", "health", *(figure.name for figure in FIGURES), "latency_ms", "dropped_by_cause"),
    "last_result_ms": ("last_result_ms", "last_result"),
    "last_event_ms": ("last_event_ms", "last_event"),
}
_TIMES = ("heard_ms", "said_ms", *_GROUPS)
_COLUMNS = ("node", "heard_ms", *(column for group in _GROUPS.values() for column in group))


@dataclass(slots=True)
class _Heard:
    """What came of one device since it was written last."""

    written_ms: int = 0
    urgent: bool = False
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def due_ms(self) -> int:
        return self.written_ms + (_EVENT_AFTER_MS if self.urgent else WRITE_EVERY_MS)


class NowNotes:
    """Gathers, and writes what is due."""

    def __init__(self) -> None:
        self._notes: dict[int, _Heard] = {}
        # Devices with something to write.
        self._open: set[int] = set()
        # When each of these is due, the earliest first; further entries are of what was written since.
        self._due: list[tuple[int, int]] = []
        # What our clock showed last; None before the first look at what another process wrote.
        self._seen_ms: int | None = None

    @property
    def waiting(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._open)

    def heard(self, node: int, received_ms: int, records: Iterable[Record] = ()) -> None:
        """Note that a device spoke, and what."""
        note = self._notes.get(node)
        if note is None:
            note = self._notes[node] = _Heard()
        was_urgent = note.urgent
        note.values["heard_ms"] = received_ms
        for record in records:
            self._take(note, record)
        if node not in self._open or note.urgent != was_urgent:
            self._open.add(node)
            heappush(self._due, (note.due_ms, node))

    def due(self, now_ms: int) -> set[int]:
        """Return the devices of which something is due to be written."""
        return {node for due_ms, node in self._due if due_ms <= now_ms and node in self._open}

    def write_due(self, connection: Connection, now_ms: int) -> int:
        """Write what is due; return how many devices that are."""
        if self._seen_ms is None or now_ms < self._seen_ms - _AHEAD_MS:
            _move_to_the_present(connection, now_ms)
        if self._seen_ms is not None and now_ms < self._seen_ms:
            self._set_back(now_ms)
        self._seen_ms = now_ms
        due = []
        while self._due and self._due[0][0] <= now_ms:
            _, node = heappop(self._due)
            note = self._notes[node]
            if node in self._open and note.due_ms <= now_ms:
                due.append(self._row(node, note))
                note.written_ms, note.urgent, note.values = now_ms, False, {}
                self._open.discard(node)
        if due:
            # In one order, whoever writes: see `lock`.
            due.sort(key=itemgetter(0))
            _write(connection, due, now_ms + _AHEAD_MS)
        return len(due)

    def forget(self) -> None:
        """Forget everything, after a commit that failed."""
        self._notes.clear()
        self._open.clear()
        self._due.clear()
        self._seen_ms = None

    def _set_back(self, now_ms: int) -> None:
        """Let those be due at their next word of whom something was written at a time that is still to come."""
        for note in self._notes.values():
            if note.written_ms > now_ms:
                note.written_ms = 0
        self._due = [(self._notes[node].due_ms, node) for node in self._open]
        heapify(self._due)

    def _take(self, note: _Heard, record: Record) -> None:
        values = note.values
        if record.kind is Kind.RESULT:
            if record.at_ms >= values.get("last_result_ms", 0):
                values["last_result_ms"], values["last_result"] = record.at_ms, record.body
        elif record.event is not None and record.at_ms >= values.get("last_event_ms", 0):
            values |= {"last_event_ms": record.at_ms, "last_event": record.event}
            note.urgent = True
        for sample in record.samples:
            if sample.at_ms >= values.get("sample_ms", 0):
                values |= _sample_values(sample)

    def _row(self, node: int, note: _Heard) -> tuple[Any, ...]:
        # Made into text here and not before: most of what is gathered is replaced by newer.
        values = note.values | _texts(note.values)
        return (node, *(values.get(column) for column in _COLUMNS[1:]))


def lock(connection: Connection, devices: Iterable[int]) -> None:
    """Lock everything of `now` that a commit will write, at once and in one order, where several write.

    A birth is written before what is due of other devices: two collectors that lock both one after the other would wait for
    each other.
    """
    asked = sorted(devices)
    if asked and not is_sqlite(connection):
        connection.exec_driver_sql("SELECT 1 FROM now WHERE node = ANY(%s) ORDER BY node FOR UPDATE", (asked,))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    event = values.get("last_event")
    said = "" if event is None else f"{event.name}: {event.message}" if event.message else event.name
    return {
        "health": plain_text(values.get("health", ""), _SAYS_CHARACTERS),
        "last_result": _said(values.get("last_result", "")),
        "last_event": plain_text(said, _SAYS_CHARACTERS),
    }


def _said(body: str) -> str:
    """Return what a result says, in short; empty where a body is none."""
    try:
        message = from_json(body)
    except ValueError:
        return ""
    result = message.get("result") if isinstance(message, dict) else None
    return result_text(result) if isinstance(result, dict) else ""


def _sample_values(sample: SampleRow) -> dict[str, Any]:
    figures = {figure.name: value for figure, value in zip(FIGURES, sample.figures, strict=True)}
    return figures | {
        "sample_ms": sample.at_ms,
        "health": sample.health,
        "latency_ms": sample.latency_ms,
        "dropped_by_cause": sample.dropped_by_cause,
    }


def _move_to_the_present(connection: Connection, now_ms: int) -> None:
    for column in _TIMES:
        connection.execute(
            text(f"UPDATE now SET {column} = :now_ms WHERE {column} > :ahead_ms"),  # noqa: S608  (names of ours)
            {"now_ms": now_ms, "ahead_ms": now_ms + _AHEAD_MS},
        )


def _write(connection: Connection, rows: Sequence[tuple[Any, ...]], ahead_ms: int) -> None:
    if is_sqlite(connection):
        with_values(connection, _SQLITE, rows, (ahead_ms,) * _SQLITE.count("?"))
    else:
        columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        connection.exec_driver_sql(_POSTGRESQL, {**columns, "ahead_ms": ahead_ms})


def _statement(rows: str, ahead_ms: str) -> str:
    sets = []
    for key, columns in {"heard_ms": ("heard_ms",), **_GROUPS}.items():
        newer = f"excluded.{key} >= coalesce(now.{key}, 0) OR (excluded.{key} IS NOT NULL AND now.{key} > {ahead_ms})"
        sets += [f"{c} = CASE WHEN {newer} THEN excluded.{c} ELSE now.{c} END" for c in columns]
    return f"INSERT INTO now ({', '.join(_COLUMNS)}) {rows} ON CONFLICT (node) DO UPDATE SET {', '.join(sets)}"


def _as_arrays() -> str:
    """Return the rows of PostgreSQL: one array for each column, which is one value for the driver."""
    arrays = (f"%({name})s::{now.c[name].type.compile()}[]" for name in _COLUMNS)
    return f"SELECT * FROM unnest({', '.join(arrays)})"  # noqa: S608


_SQLITE = _statement("VALUES {rows}", "?")
_POSTGRESQL = _statement(_as_arrays(), "%(ahead_ms)s")
