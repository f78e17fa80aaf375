"""A piece of backlog: whole messages of one kind that could not be sent when they were new, in one packed message.

Their numbers need not follow one another, as other kinds lie between. A segment is not a message of its own in the
sequence: its `seq` is that of its first record, and what is stored, acknowledged or missing are its records.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag, model_validator

from edgesdk_targets.messages.columns import is_table, pack_columns, unpack_columns
from edgesdk_targets.messages.envelope import Count, UpMessage, rfc3339, schema_field
from edgesdk_targets.messages.upward import Event, ResultMessage, Telemetry

# Few enough that losing one costs little, enough that deflating pays: three days of one a second fit into 10 MB.
SEGMENT_RECORDS = 90
MAX_SEGMENT_RECORDS = 1000
_END = "]}"
# Of our own, which are smaller: as a message may be when inflated.
_MOST_BYTES = 1024 * 1024


def _schema_kind(record: Any) -> str:
    schema = record.get("schema") if isinstance(record, dict) else getattr(record, "schema_id", "")
    return str(schema).partition("/")[0]


Record = Annotated[
    Annotated[Event, Tag("event")] | Annotated[ResultMessage, Tag("result")] | Annotated[Telemetry, Tag("tele")],
    Discriminator(_schema_kind),
]


class Segment(UpMessage):
    """Records of the backlog, in the order of their numbers.

    Attributes:
        seq: the same as `first`.
        first, last: of the records; those between that are not in it travel elsewhere.
        records: as they would have been sent alone.
    """

    kind: ClassVar[str] = "segment"
    schema_id: str = schema_field("segment")
    first: Count
    last: Count
    records: Annotated[tuple[Record, ...], Field(min_length=1, max_length=MAX_SEGMENT_RECORDS)]

    @model_validator(mode="after")
    def _agrees_with_its_records(self) -> Segment:
        numbers = [record.seq for record in self.records]
        if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
            raise ValueError("records are not in the order of their numbers")
        if (self.seq, self.first, self.last) != (numbers[0], numbers[0], numbers[-1]):
            raise ValueError("seq, first and last are not those of the records")
        if any((record.node, record.epoch) != (self.node, self.epoch) for record in self.records):
            raise ValueError("a record is of another node or epoch")
        return self


def pack_segment(node: str, at: datetime, epoch: str, records: Sequence[tuple[int, bytes]], *, level: int = 9) -> bytes:
    """Write a segment from records that are written already; deflated, as any reader of segments takes it.

    Args:
        records: number and JSON of each, in the order of their numbers.
    """
    head = _head(node, at, epoch, records)
    return zlib.compress(head.encode() + b",".join(body for _seq, body in records) + _END.encode(), level)


def pack_segment_as_table(node: str, at: datetime, epoch: str, records: Sequence[tuple[int, bytes]]) -> bytes:
    """Write the same as a table (`columns`), half as large; deflated where a record is not as we write JSON."""
    table = pack_columns(_head(node, at, epoch, records), [body.decode() for _seq, body in records], _END)
    return pack_segment(node, at, epoch, records) if table is None else table


def deflated_segment(body: bytes) -> bytes:
    """Return a segment that we wrote, deflated, for whoever reads no tables.

    Raises:
        ValueError: it is none.
    """
    if not is_table(body):
        return body
    before, documents, after = unpack_columns(body, _MOST_BYTES)
    return zlib.compress((before + ",".join(documents) + after).encode(), 9)


def unpack_segment(body: bytes) -> list[tuple[int, bytes]]:
    """Return number and JSON of each record of a segment that we wrote, word for word.

    Raises:
        ValueError, IndexError, KeyError: it is none.
    """
    if is_table(body):
        return [(int(json.loads(text)["seq"]), text.encode()) for text in unpack_columns(body, _MOST_BYTES)[1]]
    try:
        text = zlib.decompress(body).decode()
    except zlib.error as error:
        raise ValueError(str(error)) from error
    scan, at = json.JSONDecoder().raw_decode, text.index('"records":[') + len('"records":[')
    records = []
    while text[at] != "]":
        record, end = scan(text, at)
        records.append((int(record["seq"]), text[at:end].encode()))
        at = end + (text[end] == ",")
    return records


def _head(node: str, at: datetime, epoch: str, records: Sequence[tuple[int, bytes]]) -> str:
    first, last = records[0][0], records[-1][0]
    return (
        f'{{"schema":"segment/1","node":"{node}","at":"{rfc3339(at)}","epoch":"{epoch}","seq":{first},'
        f'"first":{first},"last":{last},"records":['
    )
