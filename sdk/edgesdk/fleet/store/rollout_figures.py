"""What a device did over some time, as a roll-out's gate compares it: medians of samples, and what its results say."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from edgesdk.fleet.rollout.health import Figures
from edgesdk.fleet.store.batch import Kind
from edgesdk.fleet.store.figures import BY_NAME
from edgesdk.fleet.store.rollups import MINUTE_MS
from edgesdk.fleet.store.tables import records, sample_minutes, samples

# As many as a median needs, and no more of a device that reports every second.
ENOUGH_SAMPLES = 200
_RESULTS = 300
_MB = 1e6
_MEANT = ("fps", "age_p95_ms", "memory_bytes", "temperature_c")


def figures_after(connection: Connection, node: int, since_ms: int, until_ms: int, *, newest: int) -> Figures:
    """Return a device's figures from a time on.

    Args:
        newest: of so many samples, and the results of that time; what began late would else be hidden by the time before.
    """
    these = _samples_of(node, since_ms, until_ms)
    asked = select(*_columns()).where(*these).order_by(samples.c.at_ms.desc()).limit(newest)
    rows = connection.execute(asked).all()
    seen, results = _seen(connection, node, rows[-1].at_ms if rows else since_ms, until_ms)
    return _figures(rows, _restarts(connection, these), seen, results)


def figures_before(connection: Connection, node: int, until_ms: int, span_ms: int) -> Figures:
    """Return a device's figures before a time: of samples spread over so long; where there are none, of its last minutes.

    Samples are forgotten after two days, and a device that was away for longer has none from just before its turn: the
    roll-ups have the last that it did.
    """
    these = _samples_of(node, until_ms - span_ms, until_ms)
    count = connection.execute(select(func.count()).select_from(samples).where(*these)).scalar_one()
    if not count:
        return _from_minutes(connection, node, until_ms, max(1, span_ms // MINUTE_MS))
    # By their place and not by their number: what devices say in turn would all fall into the same one.
    placed = (
        select(*_columns(), func.row_number().over(order_by=samples.c.at_ms).label("place")).where(*these).subquery()
    )
    rows = connection.execute(select(placed).where(placed.c.place % _every(count, ENOUGH_SAMPLES) == 0)).all()
    seen, results = _seen(connection, node, until_ms - span_ms, until_ms)
    return _figures(rows, _restarts(connection, these), seen, results)


def _samples_of(node: int, since_ms: int, until_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (samples.c.node == node, samples.c.at_ms >= since_ms, samples.c.at_ms < until_ms)


def _columns() -> tuple[ColumnElement[Any], ...]:
    return (samples.c.at_ms, *(samples.c[name] for name in _MEANT), samples.c.latency_ms)


def _every(count: int, most: int) -> int:
    """Return of how many the last one is looked at, so that about `most` are, all over the time."""
    return max(1, count // most)


def _figures(rows: Sequence[Row[Any]], restarts: int, seen: Counter[str], results: int) -> Figures:
    memory = _median("memory_bytes", (row.memory_bytes for row in rows))
    return Figures(
        samples=len(rows),
        fps=_median("fps", (row.fps for row in rows)),
        age_p95_ms=_median("age_p95_ms", (row.age_p95_ms for row in rows)),
        latency_ms=_middle([one for row in rows if (one := _latency(row.latency_ms)) is not None]),
        memory_mb=None if memory is None else memory / _MB,
        temperature_c=_median("temperature_c", (row.temperature_c for row in rows)),
        restarts=restarts,
        results=results,
        seen=seen,
    )


def _from_minutes(connection: Connection, node: int, until_ms: int, minutes: int) -> Figures:
    """Return a device's figures of its last minutes before a time; of results the roll-ups know nothing."""
    of = sample_minutes.c
    means = [(of[f"{name}_sum"] / func.nullif(of[f"{name}_n"], 0)).label(name) for name in _MEANT]
    asked = (
        select(of.at_ms, *means, of.latency_ms)
        .where(of.node == node, of.at_ms <= until_ms - MINUTE_MS)
        .order_by(of.at_ms.desc())
        .limit(min(minutes, ENOUGH_SAMPLES))
    )
    return _figures(connection.execute(asked).all(), 0, Counter(), 0)


def _seen(connection: Connection, node: int, since_ms: int, until_ms: int) -> tuple[Counter[str], int]:
    """Return how often each label was seen, the empty one where nothing was, and in how many results: some of all."""
    these = (
        records.c.node == node, records.c.at_ms >= since_ms, records.c.at_ms < until_ms,
        records.c.kind == int(Kind.RESULT),
    )  # fmt: skip
    count = connection.execute(select(func.count()).select_from(records).where(*these)).scalar_one()
    # Spread over the whole time: what stands before a camera for half a minute is not what it sees.
    placed = select(records.c.labels, func.row_number().over(order_by=records.c.at_ms).label("place")).where(*these)
    table = placed.subquery()
    found: Counter[str] = Counter()
    rows = connection.execute(select(table.c.labels).where(table.c.place % _every(count, _RESULTS) == 0)).all()
    for (labels,) in rows:
        found.update((labels or "").strip("|").split("|"))
    return found, len(rows)


def _median(name: str, values: Iterable[float | None]) -> float | None:
    middle = _middle([float(value) for value in values if value is not None])
    return None if middle is None else middle / BY_NAME[name].scale


def _middle(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _latency(stages: str | None) -> float | None:
    """Return the sum of a sample's stages, of each the time below which half of its frames took."""
    halves = [half for half, _ in json.loads(stages).values() if half is not None] if stages else []
    return sum(halves) if halves else None


def _restarts(connection: Connection, these: tuple[ColumnElement[bool], ...]) -> int:
    """Return how often a counter that runs since the agent's start began anew."""
    earlier = func.lag(samples.c.captured).over(order_by=samples.c.at_ms).label("earlier")
    counted = select(samples.c.captured, earlier).where(*these, samples.c.captured.is_not(None)).subquery()
    asked = select(func.count()).select_from(counted).where(counted.c.captured < counted.c.earlier)
    return int(connection.execute(asked).scalar_one())
