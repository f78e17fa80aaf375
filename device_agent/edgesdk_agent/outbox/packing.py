"""Reports of one kind into segments, as they are stored and sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgesdk_agent.link.presence import utc
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_targets.messages import SEGMENT_RECORDS, pack_segment, pack_segment_as_table, plain_json

# Below what a message may be when inflated, with room for the head.
_MAX_PLAIN_BYTES = 900 << 10
# Number and JSON.
Record = tuple[int, bytes]
# Of fewer, what says how a table is made outweighs what it saves.
_WORTH_A_TABLE = 16


def as_records(reports: Sequence[StoredReport]) -> list[Record]:
    """Return what goes into a segment, in the order of the numbers."""
    return sorted((report.seq, plain_json(report.encoded)) for report in reports)


def chunks(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield pieces that fit into one segment each; one record at least."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        size += len(record[1]) + 1
        if chunk and (size > _MAX_PLAIN_BYTES or len(chunk) == SEGMENT_RECORDS):
            yield chunk
            chunk, size = [], len(record[1]) + 1
        chunk.append(record)
    if chunk:
        yield chunk


def packed(node: str, at: float, epoch: str, records: Sequence[Record]) -> bytes:
    """Write a segment from a chunk."""
    pack = pack_segment_as_table if len(records) >= _WORTH_A_TABLE else pack_segment
    return pack(node, utc(at), epoch, records)
