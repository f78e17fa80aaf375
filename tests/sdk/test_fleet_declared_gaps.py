"""What a device declares as gone is drawn over the time for which nothing is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgesdk.fleet.store import retention
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.gap_list import gaps_of
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.retention import Keep
from edgesdk_targets.messages import Event, Gap, GapCause, GapRange
from edgesdk_testkit.reports import NOW_MS, moment, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

HOUR = 3_600_000


@pytest.fixture
def store(store_url: str) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    yield opened
    opened.close()


def _declaration(seq: int, at_ms: int, first: int, last: int) -> Event:
    count = last - first + 1
    gap = Gap.of([GapRange(first=first, last=last, cause=GapCause.BUDGET, reports={"telemetry": count})])
    return Event(node="shop.a", at=moment(at_ms), epoch="e1", seq=seq, name="gap", data=gap.to_data())


def _drawn(store: Ingest) -> list[tuple[int, int]]:
    with reading(store.engine) as connection:
        return [(g["from_ms"], g["to_ms"]) for g in gaps_of(connection, 1, NOW_MS - 24 * HOUR, NOW_MS)]


def test_a_loss_of_three_hours_is_three_hours_long_also_when_its_reports_are_forgotten(store: Ingest) -> None:
    begin = NOW_MS - 4 * HOUR
    store.commit(reading_of(telemetry("shop.a", 1, begin)))
    store.commit(reading_of(_declaration(50, begin + 3 * HOUR, 2, 49)))
    assert _drawn(store) == [(begin, begin + 3 * HOUR)]
    retention.forget_old(store.engine, Keep(raw_h=0.5), NOW_MS)
    assert _drawn(store) == [(begin, begin + 3 * HOUR)]


def test_neighbours_that_come_later_are_where_it_begins_and_ends(store: Ingest) -> None:
    begin = NOW_MS - 4 * HOUR
    # Declared long after, by a device that then sends its backlog, the newest first.
    store.commit(reading_of(_declaration(99, NOW_MS - 1000, 3, 49)))
    assert _drawn(store) == [(NOW_MS - 1000, NOW_MS - 1000)]
    store.commit(reading_of(telemetry("shop.a", 50, begin + 2 * HOUR), telemetry("shop.a", 1, begin - 60_000)))
    store.commit(reading_of(telemetry("shop.a", 2, begin)))
    retention.forget_old(store.engine, Keep(), NOW_MS)
    assert _drawn(store) == [(begin, begin + 2 * HOUR)]
