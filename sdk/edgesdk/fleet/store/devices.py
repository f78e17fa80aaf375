"""Devices as lists and pages show them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy import delete as delete_from

from edgesdk.fleet.store.figures import BY_NAME, FIGURES, plain
from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.selection import STALE_MS, STATES, Selection, state_of
from edgesdk.fleet.store.tables import (
    events,
    gaps,
    node_tags,
    nodes,
    now,
    records,
    reported,
    sample_hours,
    sample_minutes,
    samples,
    streams,
)
from edgesdk_targets.errors import InputError

JOINED = nodes.outerjoin(now, now.c.node == nodes.c.id)
_LISTED = (
    "id", "name", "title", "note", "site", "target", "variant", "runtime", "agent_version", "agent_digest", "bundle_name",
    "bundle_version", "bundle_digest", "template", "created_ms", "enrolled_ms", "first_seen_ms", "born_ms", "revoked_ms",
)  # fmt: skip
_NOW = (
    "heard_ms", "said_ms", "sample_ms", "clock_trusted", "step", "reason", "health", "last_result", "last_result_ms",
    "last_event", "last_event_ms",
)  # fmt: skip
# What a list may be sorted by. A device that has no such figure comes where the smallest would.
_SORTS = {
    "name": nodes.c.name,
    "site": nodes.c.site,
    "heard_ms": func.coalesce(now.c.heard_ms, 0),
    **{f.name: func.coalesce(now.c[f.name], -1) for f in FIGURES},
}


def find(
    connection: Connection,
    selection: Selection,
    now_ms: int,
    *,
    sort: str = "name",
    cursor: str = "",
    limit: int = 100,
    stale_ms: int = STALE_MS,
) -> Page[dict[str, Any]]:
    """Return devices, one page; each with its state, tags and last figures.

    Args:
        sort: `name`, `site`, `heard_ms` or a figure; downwards with a `-` before it.

    Raises:
        InputError: the sort, cursor, limit or a filter is wrong.
    """
    name = sort.removeprefix("-")
    if name not in _SORTS:
        raise InputError(f"Devices are not sorted by {name[:40]!r}.", hint=f"One of {', '.join(_SORTS)}.")
    down = sort.startswith("-")
    keys = [Key(_SORTS[name], down), Key(nodes.c.id, down)]
    found = page(
        connection, _query(now_ms, stale_ms).where(*selection.where(now_ms, stale_ms=stale_ms)), keys, cursor, limit
    )
    return Page(_shown(connection, found.items), found.next)


def get(connection: Connection, name: str, now_ms: int, *, stale_ms: int = STALE_MS) -> dict[str, Any] | None:
    """Return everything of one device, None where there is none: also hardware, cameras, epochs, what it reported."""
    row = connection.execute(_query(now_ms, stale_ms).where(nodes.c.name == name)).first()
    if row is None:
        return None
    (shown,) = _shown(connection, [row])
    more = connection.execute(
        select(nodes.c.hardware, nodes.c.cameras, nodes.c.capabilities).where(nodes.c.id == row.id)
    )
    told = connection.execute(select(reported).where(reported.c.node == row.id)).mappings().first()
    epochs = connection.execute(
        select(streams.c.epoch, streams.c.upto, streams.c.ahead).where(streams.c.node == row.id).order_by(streams.c.id)
    )
    return {
        **shown,
        **more.mappings().one(),
        "reported": dict(told) if told is not None else None,
        "epochs": [{"epoch": e.epoch, "upto": e.upto, "ahead": json.loads(e.ahead)} for e in epochs],
    }


def as_told(device: Mapping[str, Any]) -> dict[str, Any]:
    """Return a device with the key `node` for its name, as everywhere outside, and without our number of it."""
    return {"node": device["name"], **{name: value for name, value in device.items() if name not in ("id", "name")}}


def names(connection: Connection, selection: Selection, now_ms: int, *, limit: int = 20_000) -> list[tuple[int, str]]:
    """Return number and name of each device of a selection, by name: what a command in bulk goes to."""
    asked = select(nodes.c.id, nodes.c.name).select_from(JOINED).where(*selection.where(now_ms)).order_by(nodes.c.name)
    return [(row.id, row.name) for row in connection.execute(asked.limit(limit))]


def summary(connection: Connection, now_ms: int, *, stale_ms: int = STALE_MS) -> dict[str, Any]:
    """Return the whole fleet in a few numbers: devices by state; of those that are there, frames a second and age."""
    state = state_of(now_ms, stale_ms=stale_ms).label("state")
    rows = connection.execute(
        select(
            state,
            func.count().label("number"),
            func.sum(now.c.fps).label("fps"),
            func.max(now.c.age_p95_ms).label("age_max"),
            func.avg(now.c.age_p95_ms).label("age"),
            func.max(now.c.temperature_c).label("temperature"),
        )
        .select_from(JOINED)
        .group_by(state)
    ).all()
    there = [row for row in rows if row.state in {"online", "degraded", "updating"}]
    ages = [(float(row.age), row.number) for row in there if row.age is not None]
    return {
        "devices": sum(row.number for row in rows),
        "states": {name: next((row.number for row in rows if row.state == name), 0) for name in STATES},
        "fps": plain(BY_NAME["fps"], float(sum(row.fps or 0 for row in there))),
        "age_p95_ms": plain(BY_NAME["age_p95_ms"], sum(a * n for a, n in ages) / sum(n for _, n in ages))
        if ages
        else None,
        "age_p95_max_ms": plain(
            BY_NAME["age_p95_ms"], max((r.age_max for r in there if r.age_max is not None), default=None)
        ),
        "temperature_max_c": plain(
            BY_NAME["temperature_c"], max((r.temperature for r in there if r.temperature is not None), default=None)
        ),
    }


def choices(connection: Connection) -> dict[str, list[str]]:
    """Return what can be filtered by: sites, targets, bundles, tags that at least one device has."""
    found = {}
    for name, column in (("sites", nodes.c.site), ("targets", nodes.c.target), ("bundles", nodes.c.bundle_name)):
        found[name] = list(connection.scalars(select(column).where(column != "").distinct().order_by(column)))
    found["tags"] = list(connection.scalars(select(node_tags.c.tag).distinct().order_by(node_tags.c.tag)))
    return found


def describe(connection: Connection, name: str, changes: Mapping[str, str]) -> bool:
    """Set what people say of a device: title, note, site, template; False where there is no such device."""
    allowed = {"title", "note", "site", "template"}
    unknown = set(changes) - allowed
    if unknown:
        raise InputError(
            f"{min(unknown)[:40]!r} is not a person's to say.", hint=f"One of {', '.join(sorted(allowed))}."
        )
    values = {key: plain_text(value, 1000) for key, value in changes.items()}
    if not values:
        return connection.execute(select(nodes.c.id).where(nodes.c.name == name)).first() is not None
    return connection.execute(update(nodes).where(nodes.c.name == name).values(**values)).rowcount > 0


def set_tags(connection: Connection, name: str, tags: Sequence[str]) -> bool:
    """Give a device these tags and no others; False where there is no such device."""
    node = connection.scalar(select(nodes.c.id).where(nodes.c.name == name))
    if node is None:
        return False
    connection.execute(delete_from(node_tags).where(node_tags.c.node == node))
    chosen = sorted({plain_text(tag.strip(), 64) for tag in tags if tag.strip()})
    if chosen:
        connection.execute(insert(node_tags), [{"node": node, "tag": tag} for tag in chosen])
    return True


def _query(now_ms: int, stale_ms: int) -> Any:
    return select(
        *(nodes.c[column] for column in _LISTED),
        *(now.c[column] for column in _NOW),
        *(now.c[figure.name] for figure in FIGURES),
        now.c.latency_ms,
        now.c.dropped_by_cause,
        state_of(now_ms, stale_ms=stale_ms).label("state"),
    ).select_from(JOINED)


def _shown(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    tags = defaultdict(list)
    asked = select(node_tags.c.node, node_tags.c.tag).where(node_tags.c.node.in_([row.id for row in rows]))
    for node, tag in connection.execute(asked.order_by(node_tags.c.tag)):
        tags[node].append(tag)
    return [
        {
            **{column: getattr(row, column) for column in (*_LISTED, *_NOW)},
            "state": row.state,
            "tags": tags[row.id],
            "figures": {figure.name: plain(figure, getattr(row, figure.name)) for figure in FIGURES},
            "latency_ms": row.latency_ms,
            "dropped_by_cause": row.dropped_by_cause,
        }
        for row in rows
    ]


def remove(connection: Connection, name: str) -> bool:
    """Remove a device with everything that was said of it and that it reported; False where there is none.

    All of it, as its number and those of its sequences may be given to another device: files count on from the highest.
    """
    node = connection.scalar(select(nodes.c.id).where(nodes.c.name == name))
    if node is None:
        return False
    connection.execute(delete_from(gaps).where(gaps.c.stream.in_(select(streams.c.id).where(streams.c.node == node))))
    for table in (records, samples, sample_minutes, sample_hours, events, now):
        connection.execute(delete_from(table).where(table.c.node == node))
    connection.execute(delete_from(nodes).where(nodes.c.id == node))
    return True
