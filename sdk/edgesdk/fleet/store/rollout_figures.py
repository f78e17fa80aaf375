"""What a device did over some time, as a roll-out's gate compares it: medians of samples, and what its results say."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sqlalchemy import Connection, func, select

from edgesdk.fleet.rollout.health import Figures
from edgesdk.fleet.store.batch import Kind
from edgesdk.fleet.store.figures import BY_NAME
from edgesdk.fleet.store.tables import records, samples

# As many as a median needs, and no more of a device that reports every second.
_SAMPLES = 200
_RESULTS = 300
_MB = 1e6


def read_figures(connection: Connection, node: int, since_ms: int, until_ms: int, *, newest: int = _SAMPLES) -> Figures:
    """Return a device's figures from a time on, and before another.

    Args:
        newest: only of so many samples; what began late would else be hidden by the time before.
    """
    asked = (
        select(
            samples.c.at_ms, samples.c.fps, samples.c.age_p95_ms, samples.c.memory_bytes, samples.c.temperature_c,
            samples.c.captured, samples.c.latency_ms,
        )
        .where(samples.c.node == node, samples.c.at_ms >= since_ms, samples.c.at_ms < until_ms)
        .order_by(samples.c.at_ms.desc())
        .limit(_SAMPLES)
    )  # fmt: skip
    found = connection.execute(asked).all()
    rows = found[:newest]
    memory = _median("memory_bytes", (row.memory_bytes for row in rows))
    seen, results = _seen(connection, node, rows[-1].at_ms if rows else since_ms, until_ms)
    return Figures(
        samples=len(rows),
        fps=_median("fps", (row.fps for row in rows)),
        age_p95_ms=_median("age_p95_ms", (row.age_p95_ms for row in rows)),
        latency_ms=_middle([one for row in rows if (one := _latency(row.latency_ms)) is not None]),
        memory_mb=None if memory is None else memory / _MB,
        temperature_c=_median("temperature_c", (row.temperature_c for row in rows)),
        restarts=_restarts([row.captured for row in found if row.captured is not None]),
        results=results,
        seen=seen,
    )


def _seen(connection: Connection, node: int, since_ms: int, until_ms: int) -> tuple[Counter[str], int]:
    """Return how often each label was seen, the empty one where nothing was, and in how many results: some of all."""
    these = (
        records.c.node == node, records.c.at_ms >= since_ms, records.c.at_ms < until_ms,
        records.c.kind == int(Kind.RESULT),
    )  # fmt: skip
    count = connection.execute(select(func.count()).select_from(records).where(*these)).scalar_one()
    # Spread over the whole time: what stands before a camera for half a minute is not what it sees.
    every = max(1, count // _RESULTS)
    found: Counter[str] = Counter()
    rows = connection.execute(select(records.c.labels).where(*these, records.c.seq % every == 0)).all()
    for (labels,) in rows:
        found.update((labels or "").strip("|").split("|"))
    return found, len(rows)


def _median(name: str, values: Iterable[int | None]) -> float | None:
    middle = _middle([value for value in values if value is not None])
    return None if middle is None else middle / BY_NAME[name].scale


def _middle(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _latency(stages: str | None) -> float | None:
    """Return the sum of a sample's stages, of each the time below which half of its frames took."""
    halves = [half for half, _ in json.loads(stages).values() if half is not None] if stages else []
    return sum(halves) if halves else None


def _restarts(newest_first: Sequence[int]) -> int:
    """Return how often a counter that runs since the agent's start began anew."""
    return sum(newer < older for newer, older in pairwise(newest_first))
