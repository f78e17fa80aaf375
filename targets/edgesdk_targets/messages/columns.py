"""Many JSON documents of the same kind as a table: what is the same in all is said once, and each column lies together.

    C, then deflated: head (JSON) LF shape LF shape LF … columns

A shape is a document with a tab in place of each number and time; JSON as we write it has no tab and no line's end. A column holds
what stands at one place: behind the same key, as the same one of that key's values. The head names each document's shape, and how
each column is written. Deflated alone, digits take more than three bits each and keys are said again in each document; so a
number takes the bytes that it needs.

What is read is hostile until it is: whatever it holds, it becomes documents of at most so many bytes, or a ValueError.
"""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any, Final

from edgesdk_targets.messages.column import Column, column_bytes, packed_column, unpacked_column

MARK: Final = b"C"

_LEVEL: Final = 9
_PLACE: Final = "\t"
_LINE: Final = "\n"
# A number behind a colon, comma or bracket, and a time in quotes. One that stands so within a text comes back as it was, too.
# It begins with what is to be found, and looks back from there: so the search stops at digits only, which is four times as fast.
_VALUE = re.compile(
    r"([-\d](?:(?<=[:,\[].)\d*(?:\.\d+)?(?=[,\]}])|"
    r'(?<="\d)\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(?=")))'
)
_KEY = re.compile(r'"([^"\\\t]*)":')

# Key, which of its values, and how often that key came before in the document.
Place = tuple[str, int, int]


def is_table(body: bytes) -> bool:
    """Tell what `pack_columns` wrote from what is deflated alone."""
    return body[:1] == MARK


def pack_columns(before: str, documents: Sequence[str], after: str) -> bytes | None:
    """Write `before`, the documents with commas between them, and `after`; None where a document is not as we write JSON."""
    shapes: dict[str, int] = {}
    places: dict[str, list[Place]] = {}
    columns: dict[Place, list[str]] = {}
    of: list[int] = []
    for document in documents:
        if _PLACE in document or _LINE in document:
            return None
        parts = _VALUE.split(document)
        shape = _PLACE.join(parts[::2])
        if shape not in places:
            shapes[shape], places[shape] = len(shapes), _places(shape)
        of.append(shapes[shape])
        for place, word in zip(places[shape], parts[1::2], strict=True):
            columns.setdefault(place, []).append(word)
    heads: list[Any] = []
    bodies: list[bytes] = []
    for words in columns.values():
        column = packed_column(words)
        heads.append(list(words) if column is None else column[0].to_head())
        bodies.append(b"" if column is None else column[1])
    head = {"before": before, "after": after, "shapes": len(shapes), "of": of, "columns": heads}
    text = _LINE.join([json.dumps(head, separators=(",", ":"), ensure_ascii=False), *shapes, ""]).encode()
    # Text and numbers have nothing in common: each gets a code of its own.
    deflate = zlib.compressobj(_LEVEL)
    return b"".join(
        (
            MARK,
            deflate.compress(text),
            deflate.flush(zlib.Z_SYNC_FLUSH),
            deflate.compress(b"".join(bodies)),
            deflate.flush(),
        )
    )


def unpack_columns(body: bytes, most_bytes: int) -> tuple[str, list[str], str]:
    """Return what `pack_columns` was given.

    Args:
        most_bytes: of all of it, written as JSON, and of the table.

    Raises:
        ValueError: it is no table, or a larger one.
    """
    lines, numbers = _parts(_inflated(body, most_bytes))
    head, *shapes = lines
    before, after, of, heads = (head.get(name) for name in ("before", "after", "of", "columns"))
    complete = isinstance(before, str) and isinstance(after, str) and isinstance(of, list) and isinstance(heads, list)
    if not complete:
        raise ValueError("a table's head is incomplete")
    if not all(type(number) is int and 0 <= number < len(shapes) for number in of):
        raise ValueError("a table names a shape that it has not")
    pieces = [shape.split(_PLACE) for shape in shapes]
    if sum(len(shapes[number]) for number in of) > most_bytes:
        raise ValueError(f"a table holds more than {most_bytes} bytes")
    places = [_places(shape) for shape in shapes]
    counts: dict[Place, int] = {}
    for number in of:
        for place in places[number]:
            counts[place] = counts.get(place, 0) + 1
    columns = _columns(counts, heads, numbers)
    documents, size = [], len(before) + len(after)
    for number in of:
        words = (next(columns[place]) for place in places[number])
        document = "".join(itertools.chain.from_iterable(itertools.zip_longest(pieces[number], words, fillvalue="")))
        documents.append(document)
        size += len(document) + 1
        if size > most_bytes:
            raise ValueError(f"a table holds more than {most_bytes} bytes")
    return before, documents, after


def _columns(counts: dict[Place, int], heads: list[Any], numbers: bytes) -> dict[Place, Any]:
    if len(heads) != len(counts):
        raise ValueError("a table has more places than columns, or fewer")
    columns, at = {}, 0
    for (place, count), head in zip(counts.items(), heads, strict=True):
        if isinstance(head, list) and len(head) == count and all(isinstance(word, str) for word in head):
            columns[place] = iter(head)
            continue
        column = Column.from_head(head)
        size = column_bytes(column, count)
        if at + size > len(numbers):
            raise ValueError("a table is cut off")
        columns[place] = iter(unpacked_column(column, count, numbers[at : at + size]))
        at += size
    return columns


def _places(shape: str) -> list[Place]:
    """Return where each value of a shape stands."""
    places: list[Place] = []
    seen: dict[str, int] = {}
    key, index = "", 0
    for piece in shape.split(_PLACE)[:-1]:
        keys = _KEY.findall(piece)
        for name in keys:
            seen[name] = seen.get(name, 0) + 1
        if keys:
            key, index = keys[-1], 0
        places.append((key, index, seen.get(key, 0)))
        index += 1
    return places


def _inflated(body: bytes, most_bytes: int) -> bytes:
    if not is_table(body):
        raise ValueError("this is no table")
    inflater = zlib.decompressobj()
    try:
        table = inflater.decompress(body[1:], most_bytes)
    except zlib.error as error:
        raise ValueError("a table is not deflated data") from error
    if inflater.unconsumed_tail or not inflater.eof or inflater.unused_data:
        raise ValueError(f"a table is cut off, or inflates to more than {most_bytes} bytes")
    return table


def _parts(table: bytes) -> tuple[list[Any], bytes]:
    """Return head and shapes, and the bytes of the columns."""
    first, _, rest = table.partition(b"\n")
    try:
        head = json.loads(first)
    except RecursionError as error:
        raise ValueError("a table's head nests too deep") from error
    count = head.get("shapes") if isinstance(head, dict) else None
    if type(count) is not int or not 0 <= count <= len(table):
        raise ValueError("a table has no head")
    *shapes, numbers = rest.split(b"\n", count)
    if len(shapes) != count:
        raise ValueError("a table is cut off")
    return [head, *(shape.decode() for shape in shapes)], numbers
