"""What of a batch is new to the store, which devices show that they did not hear us, and which numbers are settled now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.coverage import Coverage, ranges_of
from edgesdk.fleet.store.lines import Line
from edgesdk.fleet.store.record_rows import Placed
from edgesdk.fleet.store.tables import gaps


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A batch beside what is settled.

    Attributes:
        new: records that may be new, each number once.
        repeated: streams that sent what was settled, or are born anew: they may not have heard the last word.
        seqs: numbers that records and refusals settle, by stream, in any order.
    """

    new: list[Placed]
    repeated: frozenset[Stream]
    seqs: Mapping[Stream, list[int]]


def sort_out(
    connection: Connection, reading: Reading, lines: Mapping[Stream, Line], *, doubting: bool = False
) -> Arrivals:
    """Compare a batch with what is settled.

    What is settled was stored, even if retention took it since; or refused; or its device declared it as gone, and only
    then it may still come.

    Args:
        doubting: look up whether what seems new is stored: of a stream with very many holes, what is settled is forgotten.
    """
    placed: dict[tuple[int, int], Placed] = {}
    seqs: defaultdict[Stream, list[int]] = defaultdict(list)
    again: list[tuple[Line, Record]] = []
    for record in reading.records:
        line, seq = lines[record.stream], record.seq
        seqs[record.stream].append(seq)
        if seq in line.coverage:
            again.append((line, record))
        elif (line.id, seq) not in placed:
            placed[line.id, seq] = Placed(line, record, doubting or line.coverage.may_have_forgotten(seq))
    for refusal in reading.refusals:
        if refusal.stream is not None:
            seqs[refusal.stream].append(refusal.seq)
    # Few devices ever declare anything: what a busy fleet sends twice must not cost a question for each report.
    declaring = _declaring(connection, {line.id for line, _ in again})
    for line, record in again:
        place = (line.id, record.seq)
        if line.id in declaring and place not in placed and _is_declared_gone(connection, *place):
            placed[place] = Placed(line, record, doubtful=True)
    born = (said.stream for said in reading.presences if said.kind is Kind.BIRTH)
    return Arrivals(list(placed.values()), frozenset([record.stream for _, record in again]).union(born), seqs)


def settled(arrivals: Arrivals, reading: Reading, lines: Mapping[Stream, Line]) -> dict[Stream, Coverage]:
    """Return what is settled of each stream that a batch settles anything of."""
    ranges = {stream: ranges_of(seqs) for stream, seqs in arrivals.seqs.items()}
    for gap in reading.gaps:
        ranges.setdefault(gap.stream, []).append(gap.span)
    return {stream: lines[stream].coverage.settle(further) for stream, further in ranges.items()}


def _declaring(connection: Connection, streams: set[int]) -> set[int]:
    """Return those of some streams that have declared anything as gone."""
    if not streams:
        return set()
    return set(connection.scalars(select(gaps.c.stream).where(gaps.c.stream.in_(streams)).distinct()))


def _is_declared_gone(connection: Connection, stream: int, seq: int) -> bool:
    asked = select(gaps.c.stream).where(gaps.c.stream == stream, gaps.c.first <= seq, gaps.c.last >= seq).limit(1)
    return connection.execute(asked).first() is not None
