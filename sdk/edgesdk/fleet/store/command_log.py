"""Commands that were given: written before they are sent, and what devices answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.tables_control import bulk_commands, command_replies, commands
from edgesdk.fleet.store.tables_devices import nodes

# What a device accepted it has begun; an update may take hours, and one that lost its power says nothing more.
_ANSWER_MS = 6 * 3_600_000
# No further word comes.
OVER = ("done", "refused", "expired")


def add_bulk(
    connection: Connection, *, verb: str, arguments: Mapping[str, Any], selection: Mapping[str, Any], devices: int,
    actor: str, at_ms: int,
) -> int:  # fmt: skip
    """Write down a command for many devices, and return its id."""
    done = connection.execute(
        insert(bulk_commands).values(
            verb=verb, arguments=dict(arguments), selection=dict(selection), devices=devices, actor=actor,
            created_ms=at_ms,
        )
    )  # fmt: skip
    return int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0


def add_commands(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down commands that are about to be sent: `id`, `node`, `verb`, `arguments`, `actor`, times."""
    connection.execute(insert(commands), [dict(row) for row in rows])


def set_sent(connection: Connection, ids: Sequence[str], at_ms: int) -> None:
    """Write down that the broker was given them; an answer may have come already."""
    connection.execute(
        update(commands)
        .where(commands.c.id.in_(ids), commands.c.state == "waiting")
        .values(state="sent", sent_ms=at_ms)
    )


def add_reply(connection: Connection, command: str, reply: Mapping[str, Any]) -> str:
    """Write down an answer; return the device's name, or nothing where there is no such command of this device.

    Args:
        reply: `node` (its name), `at_ms`, `received_ms`, `step`, `ok`, `code`, `message`, `data`.
    """
    found = connection.execute(
        select(commands.c.node, commands.c.state)
        .join(nodes, nodes.c.id == commands.c.node)
        .where(commands.c.id == command, nodes.c.name == reply["node"])
    ).first()
    if found is None:
        return ""
    told = {name: reply[name] for name in ("at_ms", "received_ms", "step", "ok", "code", "message", "data")}
    known = select(command_replies.c.id).where(
        command_replies.c.command == command, command_replies.c.step == reply["step"]
    )
    # The broker may deliver an answer twice.
    if connection.execute(known).first() is None:
        connection.execute(insert(command_replies).values(command=command, node=found.node, **told))
    if found.state not in OVER or found.state == "expired":
        over = reply["step"] in OVER
        values = {name: reply[name] for name in ("ok", "code", "message", "data")}
        connection.execute(
            update(commands)
            .where(commands.c.id == command)
            .values(state=reply["step"], finished_ms=reply["received_ms"] if over else None, **values)
        )
    return str(reply["node"])


def expire(connection: Connection, at_ms: int) -> int:
    """Mark what was not answered in time, and what was begun and not heard of again; return how many."""
    unanswered = connection.execute(
        update(commands)
        .where(commands.c.state.in_(("waiting", "sent")), commands.c.deadline_ms < at_ms)
        .values(state="expired", finished_ms=at_ms)
    ).rowcount
    begun = connection.execute(
        update(commands)
        .where(commands.c.state == "accepted", commands.c.deadline_ms < at_ms - _ANSWER_MS)
        .values(state="expired", finished_ms=at_ms, code="no_answer", message="Accepted, and no answer since.")
    ).rowcount
    return unanswered + begun


def list_commands(
    connection: Connection,
    *,
    node: str = "",
    bulk: int | None = None,
    state: str = "",
    limit: int = 50,
    cursor: str = "",
) -> Page[Any]:
    """Return a page of commands."""
    query = select(commands, nodes.c.name.label("node_name")).join(nodes, nodes.c.id == commands.c.node)
    if node:
        query = query.where(nodes.c.name == node)
    if bulk is not None:
        query = query.where(commands.c.bulk == bulk)
    if state:
        query = query.where(commands.c.state == state)
    return page(connection, query, [Key(commands.c.created_ms, True), Key(commands.c.id, True)], cursor, limit)


def one_command(connection: Connection, command: str) -> Row[Any] | None:
    """Return a command, or None."""
    query = select(commands, nodes.c.name.label("node_name")).join(nodes, nodes.c.id == commands.c.node)
    return connection.execute(query.where(commands.c.id == command)).first()


def command_json(row: Row[Any]) -> dict[str, Any]:
    """Return a command with stable keys."""
    names = ("id", "verb", "arguments", "actor", "state", "created_ms", "deadline_ms", "sent_ms", "finished_ms", "ok")
    return {"node": row.node_name, **{n: getattr(row, n) for n in (*names, "code", "message", "data", "bulk")}}
