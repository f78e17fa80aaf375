"""Pages by key: each begins where the one before ended, however the rows between change; page 1,000 costs as page 1.

A cursor is the sort key of the last row, written so that it fits into a URL; whoever changes one gets another page, or
an error, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, false, or_

from edgesdk_targets.errors import InputError

MAX_LIMIT = 1000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some rows, and the cursor of what follows; empty after the last."""

    items: Sequence[Item]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One column of a sort key; it must not be null, and the last one of a key is unique."""

    column: ColumnElement[Any]
    descending: bool = False


def page(connection: Connection, query: Select[Any], keys: Sequence[Key], cursor: str, limit: int) -> Page[Any]:
    """Return the rows after a cursor, in the order of `keys`.

    Args:
        cursor: `Page.next` of the page before; empty for the first.
        limit: at most so many rows, 1 to `MAX_LIMIT`.

    Raises:
        InputError: the cursor is none of ours, or the limit is out of bounds.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"limit is {limit}.", hint=f"1 to {MAX_LIMIT}.")
    named = [key.column.label(f"key_{number}") for number, key in enumerate(keys)]
    query = query.add_columns(*named).order_by(*(k.column.desc() if k.descending else k.column.asc() for k in keys))
    if cursor:
        query = query.where(_after(keys, _read(cursor, keys)))
    rows = connection.execute(query.limit(limit + 1)).all()
    if len(rows) <= limit:
        return Page(rows)
    last = rows[limit - 1]
    return Page(rows[:limit], _write([getattr(last, column.name) for column in named]))


def _after(keys: Sequence[Key], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition that a row comes after these values."""
    found: ColumnElement[bool] = false()
    for key, value in zip(reversed(keys), reversed(values), strict=True):
        beyond = key.column < value if key.descending else key.column > value
        found = or_(beyond, and_(key.column == value, found))
    return found


def _write(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _read(cursor: str, keys: Sequence[Key]) -> list[Any]:
    wrong = InputError("The cursor is none of this list.", hint="Give `next` of the page before, unchanged.")
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise wrong from error
    if not isinstance(values, list) or len(values) != len(keys):
        raise wrong
    if not all(_fits(key, value) for key, value in zip(keys, values, strict=True)):
        raise wrong
    return values


def _fits(key: Key, value: object) -> bool:
    """Tell whether a column can be compared with a value: SQLite compares anything, PostgreSQL fails."""
    kind = key.column.type.python_type
    if kind is str:
        # Half a surrogate pair is no text that a database can be asked about, nor is a zero.
        return isinstance(value, str) and "\0" not in value and _is_text(value)
    if kind is int:
        return type(value) is int and -(1 << 63) <= value < 1 << 63
    return kind is float and type(value) in (int, float)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
