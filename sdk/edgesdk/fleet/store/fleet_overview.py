"""The fleet at a glance: counts by state, how it does over time, every device as one square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from edgesdk.fleet.store.alert_pages import count_firing
from edgesdk.fleet.store.devices import JOINED, summary
from edgesdk.fleet.store.figures import BY_NAME, plain
from edgesdk.fleet.store.rollups import HOUR_MS, MINUTE_MS, WHOLE_FLEET
from edgesdk.fleet.store.selection import Selection, state_of
from edgesdk.fleet.store.tables import nodes, now, quarantine, sample_hours, sample_minutes

# Beyond this span a chart of the whole fleet is made of hours.
_MINUTES_UP_TO_MS = 4 * 24 * HOUR_MS
_POINTS = 720
MAX_SQUARES = 10_000
_SQUARE_FIGURES = ("fps", "age_p95_ms", "temperature_c")


@dataclass(frozen=True, slots=True)
class Square:
    """One device of the heat map; figures in their own units."""

    name: str
    title: str
    site: str
    state: str
    fps: float | None
    age_p95_ms: float | None
    temperature_c: float | None


def overview(connection: Connection, now_ms: int) -> dict[str, Any]:
    """Return `devices.summary`, and what waits, what could not be read, what is firing, and the last word of anybody."""
    waiting, heard = connection.execute(select(func.sum(now.c.queued), func.max(now.c.heard_ms))).one()
    unread = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
    return {
        **summary(connection, now_ms), "queued": int(waiting or 0), "heard_ms": heard, "unreadable": unread,
        "alerts_firing": count_firing(connection),
    }  # fmt: skip


def fleet_series(connection: Connection, from_ms: int, to_ms: int) -> dict[str, Any]:
    """Return how the fleet did, from roll-ups: frames a second of all, the worst age p95, devices heard; None in gaps."""
    hours = to_ms - from_ms > _MINUTES_UP_TO_MS
    table, least = (sample_hours, HOUR_MS) if hours else (sample_minutes, MINUTE_MS)
    step = max(1, (to_ms - from_ms) // least // _POINTS) * least
    bucket = (table.c.at_ms - table.c.at_ms % step).label("bucket")
    asked = (
        select(bucket, func.avg(table.c.fps_sum), func.max(table.c.age_p95_ms_max), func.max(table.c.n))
        .where(table.c.node == WHOLE_FLEET, table.c.at_ms >= from_ms, table.c.at_ms < to_ms)
        .group_by(bucket)
        .order_by(bucket)
    )
    at_ms: list[int] = []
    values: dict[str, list[float | None]] = {"fps": [], "age_p95_ms": [], "devices": []}
    for at, fps, age, heard in connection.execute(asked):
        # Where nothing came there is nothing: a line through it would be invented.
        if at_ms and at - at_ms[-1] > step:
            _append(at_ms, values, at_ms[-1] + step, (None, None, None))
        told = (plain(BY_NAME["fps"], _float(fps)), plain(BY_NAME["age_p95_ms"], _float(age)), heard)
        _append(at_ms, values, at, told)
    return {"at_ms": at_ms, "step_ms": step, "values": values}


def squares(connection: Connection, now_ms: int, *, limit: int = MAX_SQUARES) -> Sequence[Square]:
    """Return every device for the heat map, by site and name."""
    asked = (
        select(nodes.c.name, nodes.c.title, nodes.c.site, state_of(now_ms), *(now.c[f] for f in _SQUARE_FIGURES))
        .select_from(JOINED)
        .order_by(nodes.c.site, nodes.c.name)
        .limit(limit)
    )
    return [
        Square(name, title, site, state, *(plain(BY_NAME[f], v) for f, v in zip(_SQUARE_FIGURES, told, strict=True)))
        for name, title, site, state, *told in connection.execute(asked)
    ]


def count(connection: Connection, selection: Selection, now_ms: int) -> int:
    """Return how many devices are meant."""
    asked = select(func.count()).select_from(JOINED).where(*selection.where(now_ms))
    return connection.execute(asked).scalar_one()


def _append(
    at_ms: list[int],
    values: dict[str, list[float | None]],
    at: int,
    told: tuple[float | None, float | None, int | None],
) -> None:
    at_ms.append(at)
    for column, value in zip(values.values(), told, strict=True):
        column.append(value)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
