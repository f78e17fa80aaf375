"""How devices are at this moment, also after our own clock was set back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgesdk.fleet.store import devices, vitals
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.selection import Selection
from edgesdk_testkit.reports import NOW_MS, birth, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

HOUR = 3_600_000


class _Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def store(store_url: str, clock: _Clock) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=clock)
    yield opened
    opened.close()


def _states(store: Ingest, clock: _Clock) -> dict[str, str]:
    with reading(store.engine) as connection:
        return {one["name"]: one["state"] for one in devices.find(connection, Selection(), clock.ms).items}


def _say(store: Ingest, clock: _Clock, seq: int, *nodes: str, fps: float) -> None:
    store.commit(reading_of(*(telemetry(node, seq, clock.ms, fps=fps) for node in nodes), received_ms=clock.ms))


def test_a_clock_that_is_set_back_freezes_nobody_and_keeps_nobody_alive(store: Ingest, clock: _Clock) -> None:
    store.commit(reading_of(birth("shop.a", NOW_MS), birth("shop.dead", NOW_MS)))
    _say(store, clock, 1, "shop.a", "shop.dead", fps=10.0)
    clock.ms -= HOUR
    _say(store, clock, 2, "shop.a", fps=20.0)
    with reading(store.engine) as connection:
        fps, heard = connection.exec_driver_sql("SELECT fps, heard_ms FROM now WHERE node = 1").one()
    assert (fps, heard) == (2000, clock.ms)
    # The silence of the others counts from the present on.
    assert _states(store, clock) == {"shop.a": "online", "shop.dead": "online"}
    clock.ms += 90_000
    _say(store, clock, 3, "shop.a", fps=20.0)
    assert _states(store, clock) == {"shop.a": "online", "shop.dead": "offline"}
    # Lists and alert rules speak of the same silence.
    with reading(store.engine) as connection:
        away = {one.subject.node: one.offline_since for one in vitals.read_vitals(connection, clock.ms, {})}
    assert away == {"shop.a": None, "shop.dead": (clock.ms - 90_000) / 1000}


def test_whoever_speaks_after_the_clock_was_set_back_is_shown_with_its_next_word(store: Ingest, clock: _Clock) -> None:
    _say(store, clock, 1, "shop.a", "shop.b", fps=10.0)
    clock.ms -= HOUR
    # One commit after the other: the second one's device was not heard yet when the clock was found to be back.
    for node in ("shop.a", "shop.b"):
        _say(store, clock, 2, node, fps=20.0)
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT fps FROM now ORDER BY node").scalars().all() == [2000, 2000]
    # A moment only: what was written before it is due when it would have been.
    _say(store, clock, 3, "shop.a", fps=30.0)
    clock.ms -= 1
    _say(store, clock, 3, "shop.b", fps=20.0)
    clock.ms += 5001
    _say(store, clock, 4, "shop.b", fps=20.0)
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT fps FROM now WHERE node = 1").scalar() == 3000


def test_a_collector_that_starts_after_the_clock_was_set_back_brings_what_is_there_to_the_present(
    store: Ingest, clock: _Clock
) -> None:
    _say(store, clock, 1, "shop.a", fps=10.0)
    store.close()
    clock.ms -= HOUR
    again = Ingest(store.place, wall=clock)
    _say(again, clock, 1, "shop.b", fps=10.0)
    again.close()
    clock.ms += 61_000
    assert _states(store, clock) == {"shop.a": "offline", "shop.b": "offline"}


def test_older_news_still_gives_way_to_newer(store: Ingest, clock: _Clock) -> None:
    _say(store, clock, 2, "shop.a", fps=20.0)
    clock.ms += 10_000
    store.commit(reading_of(telemetry("shop.a", 1, NOW_MS - 5000, fps=5.0), received_ms=clock.ms))
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT fps, sample_ms FROM now").one() == (2000, NOW_MS)
