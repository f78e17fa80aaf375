"""Who a device is and whether it is there: its birth, its state (or its will's), what it says is installed.

A will that the broker said for an earlier connection says nothing about the present one: the device's start and
connection number tell them apart, in whatever order they come.

When a broker is restarted the whole fleet is born anew. So the words of a batch are looked at together, one after another
in memory, and what they come to is written once for each device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import Table

from edgesdk.fleet.store.batch import Presence
from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import nodes, now, presence, reported
from edgesdk_targets.messages import Birth, Reported, State

_TEXT_CHARACTERS = 256
# SQLite takes only so many values in one statement; PostgreSQL many more.
_ASKED_AT_ONCE = 500

Row = dict[str, Any]


@dataclass(slots=True)
class _Words:
    """What the words of a batch come to, by device; `known` is its start and connection, of those that ever spoke.

    Attributes:
        said: the last word of each kind.
        who, how, installed: columns of `nodes`, `now` and `reported`.
    """

    known: dict[int, tuple[str, int]]
    said: dict[tuple[int, int], Row] = field(default_factory=dict)
    who: defaultdict[int, Row] = field(default_factory=lambda: defaultdict(dict))
    how: defaultdict[int, Row] = field(default_factory=lambda: defaultdict(dict))
    installed: dict[int, Row] = field(default_factory=dict)


def apply(connection: Connection, said: Sequence[tuple[int, Presence]], received_ms: int) -> None:
    """Write what devices say about themselves, each with its number, in the order in which they said it."""
    if not said:
        return
    words = _Words(_known(connection, sorted({node for node, _ in said})))
    for node, word in said:
        words.said[node, int(word.kind)] = {"at_ms": word.at_ms, "received_ms": received_ms, "body": word.body}
        heard = {} if word.retained else {"heard_ms": received_ms}
        message = word.message
        if isinstance(message, Birth):
            _born(words, node, message, received_ms, heard)
        elif isinstance(message, State):
            _said(words, node, message, received_ms, heard)
        elif isinstance(message, Reported):
            _reported(words, node, message, word.at_ms, received_ms)
    _put(connection, presence, [{"node": n, "kind": k, **row} for (n, k), row in words.said.items()], keys=2)
    _change_nodes(connection, words.who)
    _put(connection, reported, [{"node": node, **row} for node, row in words.installed.items()], keys=1)
    _put(connection, now, [{"node": node, **row} for node, row in words.how.items()], keys=1)


def is_of_the_past(state: State, boot_id: str, session: int) -> bool:
    """Tell whether a state speaks of a connection before the one that is known."""
    if not boot_id:
        return False
    if state.boot_id != boot_id:
        return state.state == "offline"
    return state.session < session


def _born(words: _Words, node: int, birth: Birth, received_ms: int, heard: Row) -> None:
    known = words.known.get(node)
    if known is not None and known[0] == birth.boot_id and birth.session < known[1]:
        return
    words.who[node] |= {
        "target": _short(birth.target),
        "variant": _short(birth.variant),
        "runtime": _short(birth.runtime),
        "agent_version": _short(birth.agent_version),
        "agent_digest": _short(birth.agent_digest),
        "bundle_name": _short(birth.bundle.name),
        "bundle_version": _short(birth.bundle.version),
        "bundle_digest": _short(birth.bundle.digest),
        "hardware": {_short(k): _short(v) for k, v in birth.hardware.items()},
        "cameras": [camera.model_dump(mode="json") for camera in birth.cameras],
        "capabilities": list(birth.capabilities),
        "born_ms": received_ms,
    }
    present = (birth.boot_id, birth.session)
    words.how[node] |= {"boot_id": birth.boot_id, "session": birth.session, **heard}
    # A state of this connection may have come before its birth; one of an earlier connection is void.
    if known != present:
        words.how[node] |= {"said": "online", "reason": "", "said_ms": received_ms}
    words.known[node] = present


def _said(words: _Words, node: int, state: State, received_ms: int, heard: Row) -> None:
    known = words.known.get(node)
    if known is not None and is_of_the_past(state, *known):
        return
    # A will is the broker's word, not the device's.
    if state.state == "offline":
        heard = {}
    words.how[node] |= {
        "said": state.state,
        "reason": _short(state.reason),
        "boot_id": state.boot_id,
        "session": state.session,
        "said_ms": received_ms,
        "clock_trusted": state.clock_trusted,
        **heard,
    }
    words.known[node] = (state.boot_id, state.session)


def _reported(words: _Words, node: int, message: Reported, at_ms: int, received_ms: int) -> None:
    words.installed[node] = {
        "version": message.version,
        "config_hash": _short(message.config_hash),
        "step": _short(message.step),
        "active": message.active.model_dump(),
        "previous": message.previous.model_dump(),
        "applied": message.applied,
        "refused": [refusal.model_dump() for refusal in message.refused],
        "pending": list(message.pending),
        "at_ms": at_ms,
        "received_ms": received_ms,
    }
    words.how[node]["step"] = _short(message.step)
    if message.active.digest:
        words.who[node] |= {
            "bundle_name": _short(message.active.name),
            "bundle_version": _short(message.active.version),
            "bundle_digest": _short(message.active.digest),
        }


def _known(connection: Connection, asked: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Return the start and connection of devices; whoever commits has locked their rows (`now.lock`)."""
    found: dict[int, tuple[str, int]] = {}
    for first in range(0, len(asked), _ASKED_AT_ONCE):
        rows = select(now.c.node, now.c.boot_id, now.c.session)
        for node, boot_id, session in connection.execute(
            rows.where(now.c.node.in_(asked[first : first + _ASKED_AT_ONCE]))
        ):
            found[node] = (boot_id, session)
    return found


def _change_nodes(connection: Connection, changed: dict[int, Row]) -> None:
    by_columns: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for node in sorted(changed):
        by_columns[tuple(changed[node])].append({"which": node, **changed[node]})
    for rows in by_columns.values():
        connection.execute(_CHANGE_NODE, rows)


def _put(connection: Connection, table: Table, rows: list[Row], *, keys: int) -> None:
    """Insert rows, or change those with the same keys; the keys' columns come first in each."""
    by_columns: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: tuple(one.values())[:keys]):
        by_columns[tuple(row)].append(row)
    for names, alike in by_columns.items():
        connection.execute(_upsert(table, names, keys, sqlite_form=is_sqlite(connection)), alike)


_CHANGE_NODE = nodes.update().where(nodes.c.id == bindparam("which"))


# To build a statement costs ten times what it costs to run it.
@cache
def _upsert(table: Table, names: tuple[str, ...], keys: int, *, sqlite_form: bool) -> Insert:
    made = (sqlite.insert if sqlite_form else postgresql.insert)(table)
    return made.on_conflict_do_update(index_elements=names[:keys], set_={n: made.excluded[n] for n in names[keys:]})


def _short(text: str) -> str:
    return plain_text(text, _TEXT_CHARACTERS)
