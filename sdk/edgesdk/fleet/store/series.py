"""A figure over time, thinned to as many points as a chart has: from samples, minutes or hours, as the span asks for.

A point stands for a bucket of time, with mean, lowest and highest, so that a peak of a second is seen in a chart of a
month. Where nothing was heard for longer than the buckets are apart, a point without a value stands: a chart draws no
line over it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, text

from edgesdk.fleet.store.figures import BY_NAME, Figure, plain
from edgesdk.fleet.store.rollups import HOUR_MS, MINUTE_MS, WHOLE_FLEET
from edgesdk_targets.errors import InputError

MAX_POINTS = 2000
# Widths of buckets that people can read: seconds, then minutes, hours and days.
_STEPS_MS = tuple(
    1000 * s
    for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
)
# Buckets that are further apart than so many usual distances have a gap between them.
_GAP = 2.5
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: `mean`, `low` and `high` for each time; a counter has its increase a second as `mean`."""

    figure: str
    unit: str
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of one device, or of the whole fleet, at the same times.

    Attributes:
        at_ms: the beginnings of the buckets; those of gaps have no values in any line.
        step_ms: how long a bucket is.
        source: `samples`, `sample_minutes` or `sample_hours`.
    """

    at_ms: list[int]
    step_ms: int
    source: str
    lines: list[Line]


def of_device(
    connection: Connection, node: int, figures: Sequence[str], from_ms: int, to_ms: int, *, points: int = 500
) -> Series:
    """Return figures of a device over a span.

    Args:
        node: its number; `rollups.WHOLE_FLEET` for all together.
        points: at most about so many.

    Raises:
        InputError: there is no such figure, or the span or number of points is out of bounds.
    """
    chosen = [_figure(name) for name in figures]
    if to_ms <= from_ms:
        raise InputError("The span ends before it begins.", hint="Give `from` before `to`.")
    if not 2 <= points <= MAX_POINTS:
        raise InputError(f"points is {points}.", hint=f"2 to {MAX_POINTS}.")
    step_ms, source = _resolution(from_ms, to_ms, points, fleet=node == WHOLE_FLEET)
    rows = _buckets(connection, source, node, chosen, from_ms, to_ms, step_ms)
    at_ms, kept = _with_gaps([row["at_ms"] for row in rows], rows, step_ms)
    return Series(at_ms, step_ms, source, [_line(figure, kept) for figure in chosen])


def sparklines(
    connection: Connection, nodes: Sequence[int], figure: str, from_ms: int, to_ms: int, *, points: int = 30
) -> dict[int, list[float | None]]:
    """Return one figure of many devices as equally long lists of means; None where nothing was heard."""
    chosen = _figure(figure)
    if chosen.counter or not nodes or to_ms <= from_ms:
        return {node: [] for node in nodes}
    step_ms = max(1, -(-(to_ms - from_ms) // points))
    places = ", ".join(str(int(node)) for node in nodes)
    rows = connection.execute(
        text(
            f"SELECT node, (at_ms - :from_ms) / :step AS bucket, CAST(sum({figure}_sum) AS FLOAT) / sum({figure}_n) AS mean"  # noqa: S608
            f" FROM sample_minutes WHERE node IN ({places}) AND at_ms >= :from_ms AND at_ms < :to_ms"
            f" AND {figure}_n > 0 GROUP BY node, bucket"
        ),
        {"from_ms": from_ms, "to_ms": to_ms, "step": step_ms},
    )
    found: dict[int, list[float | None]] = {node: [None] * points for node in nodes}
    for node, bucket, mean in rows:
        if 0 <= bucket < points:
            found[node][int(bucket)] = plain(chosen, mean)
    return found


def breakdown(
    connection: Connection, node: int, what: str, from_ms: int, to_ms: int, *, points: int = 500
) -> dict[str, Any]:
    """Return latency by stage, or drops by cause, over time.

    Args:
        what: `latency_ms`: the p95 of each stage; `dropped_by_cause`: how many frames a second were dropped.

    Returns:
        `at_ms`, and `lines` by name, each as long.
    """
    if what not in {"latency_ms", "dropped_by_cause"}:
        raise InputError(f"{what[:40]!r} is not kept by part.", hint="latency_ms or dropped_by_cause.")
    step_ms, source = _resolution(from_ms, to_ms, points, fleet=False)
    rows = connection.execute(
        text(
            f"SELECT at_ms - at_ms % {step_ms} AS bucket, {what} AS body FROM {source}"  # noqa: S608
            f" WHERE node = :node AND at_ms >= :from_ms AND at_ms < :to_ms AND {what} IS NOT NULL ORDER BY at_ms"
        ),
        {"node": node, "from_ms": from_ms, "to_ms": to_ms},
    )
    # Of each bucket the last is read.
    last = {row.bucket: row.body for row in rows}
    by_bucket: dict[int, dict[str, Any]] = {bucket: json.loads(body) for bucket, body in last.items()}
    times = sorted(by_bucket)
    at_ms, told_at = _with_gaps(times, [by_bucket[at] for at in times], step_ms)
    lines: dict[str, list[float | None]] = defaultdict(lambda: [None] * len(at_ms))
    before: tuple[int, dict[str, Any]] | None = None
    for index, (at, told) in enumerate(zip(at_ms, told_at, strict=True)):
        for name, value in (told or {}).items():
            if what == "latency_ms":
                lines[name][index] = value[1]
            elif before is not None:
                lines[name][index] = 1000 * _grown(before[1].get(name, 0), value) / (at - before[0])
        # A rate over a whole gap would stand at its end as if it were a moment's.
        before = None if told is None else (at, told)
    return {"at_ms": at_ms, "lines": dict(lines)}


def _figure(name: str) -> Figure:
    figure = BY_NAME.get(name)
    if figure is None:
        raise InputError(f"There is no figure {name[:40]!r}.", hint=f"One of {', '.join(BY_NAME)}.")
    return figure


def _resolution(from_ms: int, to_ms: int, points: int, *, fleet: bool) -> tuple[int, str]:
    wanted = (to_ms - from_ms) / points
    step_ms = next((step for step in _STEPS_MS if step >= wanted), _STEPS_MS[-1])
    if step_ms >= HOUR_MS:
        return step_ms, "sample_hours"
    if step_ms >= MINUTE_MS or fleet:
        return max(step_ms, MINUTE_MS), "sample_minutes"
    return step_ms, "samples"


def _buckets(
    connection: Connection, source: str, node: int, figures: Sequence[Figure], from_ms: int, to_ms: int, step_ms: int
) -> Sequence[RowMapping]:
    parts = [part for figure in figures for part in _parts(figure, source, fleet=node == WHOLE_FLEET)]
    # The part of a bucket that lies before the span belongs to its first point.
    begin = from_ms - from_ms % step_ms
    rows = connection.execute(
        text(
            f"SELECT at_ms - at_ms % {step_ms} AS at_ms, {', '.join(parts) or '1'} FROM {source}"  # noqa: S608
            f" WHERE node = :node AND at_ms >= :from_ms AND at_ms < :to_ms GROUP BY at_ms - at_ms % {step_ms} ORDER BY 1"
        ),
        {"node": node, "from_ms": begin, "to_ms": to_ms},
    )
    return rows.mappings().all()


def _parts(figure: Figure, source: str, *, fleet: bool) -> list[str]:
    name, raw = figure.name, source == "samples"
    if figure.counter:
        return [f"max({name if raw else f'{name}_max'}) AS {name}_high"]
    if raw:
        return [f"avg({name}) AS {name}_mean", f"min({name}) AS {name}_low", f"max({name}) AS {name}_high"]
    if fleet and figure.adds:
        return [
            f"{part}({name}_sum) AS {name}_{said}" for part, said in (("avg", "mean"), ("min", "low"), ("max", "high"))
        ]
    low = f"min({name}_min)" if "min" in figure.keeps else "NULL"
    high = f"max({name}_max)" if "max" in figure.keeps else "NULL"
    mean = f"CAST(sum({name}_sum) AS FLOAT) / nullif(sum({name}_n), 0)"
    return [f"{mean} AS {name}_mean", f"{low} AS {name}_low", f"{high} AS {name}_high"]


def _with_gaps(times: Sequence[int], told: Sequence[Told], step_ms: int) -> tuple[list[int], list[Told | None]]:
    """Return what was told at which time, with a time at which nothing was where it is missing for longer than usual."""
    apart = [later - earlier for earlier, later in pairwise(times)]
    usual = max(step_ms, median(apart)) if apart else step_ms
    at_ms: list[int] = []
    kept: list[Told | None] = []
    for at, one in zip(times, told, strict=True):
        if at_ms and at - at_ms[-1] > _GAP * usual:
            at_ms.append(at_ms[-1] + step_ms)
            kept.append(None)
        at_ms.append(at)
        kept.append(one)
    return at_ms, kept


def _line(figure: Figure, rows: Sequence[RowMapping | None]) -> Line:
    if figure.counter:
        rates = _rates(figure, rows)
        return Line(figure.name, f"{figure.unit}/s", rates, [None] * len(rows), [None] * len(rows))

    def values(part: str) -> list[float | None]:
        return [None if row is None else plain(figure, _float(row[f"{figure.name}_{part}"])) for row in rows]

    return Line(figure.name, figure.unit, values("mean"), values("low"), values("high"))


def _rates(figure: Figure, rows: Sequence[RowMapping | None]) -> list[float | None]:
    """Return how much a counter grew a second, from one bucket to the next; it begins again at 0 with the agent."""
    rates: list[float | None] = []
    before: tuple[int, int] | None = None
    for row in rows:
        total = None if row is None else row[f"{figure.name}_high"]
        if row is None or total is None:
            rates.append(None)
            continue
        rates.append(None if before is None else 1000 * _grown(before[1], total) / (row["at_ms"] - before[0]))
        before = (row["at_ms"], total)
    return rates


def _grown(before: int, after: int) -> int:
    return after - before if after >= before else after


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
