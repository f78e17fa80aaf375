"""How every device is, as alert rules look at it, in one look at the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, select

from edgesdk.fleet.alerts.figures import Vital, baseline
from edgesdk.fleet.alerts.scope import Subject
from edgesdk.fleet.store.figures import BY_NAME
from edgesdk.fleet.store.selection import STALE_MS
from edgesdk.fleet.store.tables import node_tags, nodes, now, sample_hours

BASELINE_DAYS = 7


def read_vitals(connection: Connection, now_ms: int, baselines: Mapping[int, float]) -> list[Vital]:
    """Return every device.

    Args:
        baselines: usual frame rates by the device's row, as `read_baselines` gives them.
    """
    tags: dict[int, set[str]] = defaultdict(set)
    for node, tag in connection.execute(select(node_tags.c.node, node_tags.c.tag)):
        tags[node].add(tag)
    query = select(
        nodes.c.id, nodes.c.name, nodes.c.site, nodes.c.revoked_ms, now.c.said, now.c.said_ms, now.c.heard_ms,
        now.c.sample_ms, now.c.fps, now.c.age_p95_ms, now.c.temperature_c,
    ).join_from(nodes, now, now.c.node == nodes.c.id, isouter=True)  # fmt: skip
    found = []
    for row in connection.execute(query):
        subject = Subject(row.name, row.site, tags.get(row.id, frozenset()))
        if row.revoked_ms is not None or (not row.said and row.heard_ms is None):
            found.append(Vital(subject, "never" if row.revoked_ms is None else "revoked"))
            continue
        away_ms = row.said_ms if row.said == "offline" else _silent_since(row.heard_ms, row.said_ms, now_ms)
        found.append(
            Vital(
                subject,
                "online" if away_ms is None else "offline",
                None if away_ms is None else away_ms / 1000,
                None if row.sample_ms is None else row.sample_ms / 1000,
                _unscaled("fps", row.fps),
                _unscaled("age_p95_ms", row.age_p95_ms),
                _unscaled("temperature_c", row.temperature_c),
                baselines.get(row.id),
            )
        )
    return found


def read_baselines(connection: Connection, now_ms: int) -> dict[int, float]:
    """Return each device's usual frame rate: the median of its hours, without the last one, which may be the trouble."""
    hour = 3_600_000
    query = select(sample_hours.c.node, sample_hours.c.fps_sum, sample_hours.c.fps_n).where(
        sample_hours.c.at_ms >= now_ms - BASELINE_DAYS * 24 * hour, sample_hours.c.at_ms < now_ms - hour
    )
    hours: dict[int, list[float | None]] = defaultdict(list)
    for node, total, count in connection.execute(query):
        hours[node].append(_unscaled("fps", total / count) if count else None)
    usual = {node: baseline(rates) for node, rates in hours.items()}
    return {node: rate for node, rate in usual.items() if rate is not None}


def _silent_since(heard_ms: int | None, said_ms: int | None, now_ms: int) -> int | None:
    last = max(heard_ms or 0, said_ms or 0)
    return last if now_ms - last > STALE_MS else None


def _unscaled(name: str, value: float | None) -> float | None:
    return None if value is None else value / BY_NAME[name].scale
