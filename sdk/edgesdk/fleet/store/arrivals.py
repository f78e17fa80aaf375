"""What of a batch is new to the store, which devices show that they did not hear us, and which numbers are settled now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from sqlalchemy import Connection, select

from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.coverage import Coverage, Range, ranges_of
from edgesdk.fleet.store.lines import Line
from edgesdk.fleet.store.record_rows import Placed
from edgesdk.fleet.store.tables import gaps


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A batch beside what is settled.

    Attributes:
        new: records that may be new, each number once.
        repeated: streams that sent what was settled, or are born anew: they may not have heard the last word.
        ranges: numbers that records and refusals settle, by stream.
    """

    new: list[Placed]
    repeated: frozenset[Stream]
    ranges: Mapping[Stream, list[Range]]


def sort_out(
    connection: Connection, reading: Reading, lines: Mapping[Stream, Line], *, doubting: bool = False
) -> Arrivals:
    """Compare a batch with what is settled.

    What is settled was stored, even if retention took it since; or refused; or its device declared it as gone, and only
    then it may still come.

    Args:
        doubting: look up whether what seems new is stored: of a stream with very many holes, what is settled is forgotten.
    """
    by_stream: defaultdict[Stream, list[Record]] = defaultdict(list)
    for record in reading.records:
        by_stream[record.stream].append(record)
    new: list[Placed] = []
    ranges: dict[Stream, list[Range]] = {}
    again: list[Placed] = []
    for stream, records in by_stream.items():
        line, seqs = lines[stream], [record.seq for record in records]
        first = line.coverage.upto + 1
        # Of most devices nothing is missing, and what comes are the next numbers.
        if not doubting and not line.coverage.ahead and seqs == list(range(first, first + len(seqs))):
            ranges[stream] = [(first, seqs[-1])]
            new += map(Placed, repeat(line), records)
        else:
            ranges[stream] = ranges_of(seqs)
            told_apart = _told_apart(line, records, doubting=doubting)
            new += told_apart[0]
            again += told_apart[1]
    for refusal in reading.refusals:
        if refusal.stream is not None:
            ranges.setdefault(refusal.stream, []).append((refusal.seq, refusal.seq))
    born = (said.stream for said in reading.presences if said.kind is Kind.BIRTH)
    repeated = frozenset([one.record.stream for one in again]).union(born)
    return Arrivals([*new, *_declared_gone_after_all(connection, again)], repeated, ranges)


def settled(arrivals: Arrivals, reading: Reading, lines: Mapping[Stream, Line]) -> dict[Stream, Coverage]:
    """Return what is settled of each stream that a batch settles anything of."""
    ranges = arrivals.ranges
    if reading.gaps:
        ranges = {stream: list(settled) for stream, settled in ranges.items()}
        for gap in reading.gaps:
            ranges.setdefault(gap.stream, []).append(gap.span)
    return {stream: lines[stream].coverage.settle(further) for stream, further in ranges.items()}


def _told_apart(line: Line, records: Iterable[Record], *, doubting: bool) -> tuple[list[Placed], list[Placed]]:
    """Return, of one stream, what seems new, each number once, and what was settled before."""
    new: dict[int, Placed] = {}
    again = []
    for record in records:
        if record.seq in line.coverage:
            again.append(Placed(line, record, doubtful=True))
        elif record.seq not in new:
            new[record.seq] = Placed(line, record, doubting or line.coverage.may_have_forgotten(record.seq))
    return list(new.values()), again


def _declared_gone_after_all(connection: Connection, again: Sequence[Placed]) -> list[Placed]:
    """Return, each once, those that came although their device had declared them as gone."""
    # Few devices ever declare anything: what a busy fleet sends twice must not cost a question for each report.
    declaring = _declaring(connection, {one.line.id for one in again})
    found: dict[tuple[int, int], Placed] = {}
    for one in again:
        place = (one.line.id, one.record.seq)
        if one.line.id in declaring and place not in found and _is_declared_gone(connection, *place):
            found[place] = one
    return list(found.values())


def _declaring(connection: Connection, streams: set[int]) -> set[int]:
    """Return those of some streams that have declared anything as gone."""
    if not streams:
        return set()
    return set(connection.scalars(select(gaps.c.stream).where(gaps.c.stream.in_(streams)).distinct()))


def _is_declared_gone(connection: Connection, stream: int, seq: int) -> bool:
    asked = select(gaps.c.stream).where(gaps.c.stream == stream, gaps.c.first <= seq, gaps.c.last >= seq).limit(1)
    return connection.execute(asked).first() is not None
