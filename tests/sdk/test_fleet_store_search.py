"""Events and results as they are searched, and the upkeep that goes on beside."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from edgesdk.fleet.collect.upkeep import Upkeep
from edgesdk.fleet.store import events, results
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.media import MediaFolder
from edgesdk.fleet.store.retention import Keep
from edgesdk.fleet.store.tables import sample_minutes
from edgesdk_targets.messages import Message
from edgesdk_testkit.reports import NOW_MS, detection, event, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]
HOUR_MS = 3_600_000


@pytest.fixture
def store(store_url: str) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    yield opened
    opened.close()


def commit(store: Ingest, *said: Message) -> None:
    store.commit(reading_of(*said))


def test_events_are_found_by_what_is_said_of_them_and_paged_newest_first(store: Ingest) -> None:
    commit(store, *(event("shop.a", n, NOW_MS + n, "hot", f"{n} 100% warm") for n in range(1, 8)))
    commit(store, event("shop.b", 1, NOW_MS + 3, "camera_lost", "no picture", severity="error"))
    with reading(store.engine) as connection:
        first = events.find(connection, Wanted(), limit=3)
        seen, cursor = [row["at_ms"] for row in first.items], first.next
        while cursor:
            page = events.find(connection, Wanted(), limit=3, cursor=cursor)
            seen, cursor = seen + [row["at_ms"] for row in page.items], page.next
        assert len(seen) == 8
        assert seen == sorted(seen, reverse=True)

        def found(wanted: Wanted) -> int:
            return len(events.find(connection, wanted).items)

        assert found(Wanted(node="shop.a")) == 7
        assert found(Wanted(severity="error,warning")) == 1
        assert found(Wanted(text="PICTURE")) == 1
        assert found(Wanted(text="100%")) == 7
        assert found(Wanted(text="100_")) == 0, "a letter is a letter"
        assert found(Wanted(since_ms=NOW_MS + 2, until_ms=NOW_MS + 4)) == 3
        assert found(Wanted(camera="yard")) == 0
        (row,) = events.find(connection, Wanted(name="camera_lost")).items
        assert (row["node"], row["message"], row["severity"]) == ("shop.b", "no picture", "error")


def test_a_live_view_goes_on_where_it_was_in_the_order_of_storing(store: Ingest) -> None:
    commit(store, event("shop.a", 1, NOW_MS, "one"))
    with reading(store.engine) as connection:
        (last,) = events.since(connection, 0)
    # What a device kept while it was away is older, and new here all the same.
    commit(store, event("shop.b", 1, NOW_MS - 9 * HOUR_MS, "late"), event("shop.a", 2, NOW_MS, "two"))
    with reading(store.engine) as connection:
        assert [row["name"] for row in events.since(connection, last["id"])] == ["late", "two"]
        assert [row["name"] for row in events.since(connection, last["id"], limit=1)] == ["late"]
        assert events.since(connection, 1 << 40) == []


def test_results_are_found_by_what_was_seen_in_the_order_of_their_time(store: Ingest) -> None:
    commit(
        store,
        detection("shop.a", 1, NOW_MS - 2000, "person", "dog"),
        detection("shop.a", 2, NOW_MS - 1000, "person", camera="yard"),
        # Sent again after an hour offline: its number is higher, its time is not.
        detection("shop.a", 3, NOW_MS - HOUR_MS, "cat"),
    )
    with reading(store.engine) as connection:
        assert [row["camera"] for row in results.find(connection, Wanted(label="person")).items] == ["yard", "door"]
        assert results.find(connection, Wanted(label="per")).items == [], "the whole word"
        assert results.find(connection, Wanted(label="%")).items == []
        (cat,) = results.find(connection, Wanted(label="cat", camera="door")).items
        assert cat["message"]["frame"] == 3
        # By its time, not by its number.
        assert [row["message"]["frame"] for row in results.find(connection, Wanted(camera="door")).items] == [1, 3]


def test_upkeep_rolls_up_once_and_forgets_what_is_old(store: Ingest, tmp_path: Path) -> None:
    old, minute = NOW_MS - 90 * 24 * HOUR_MS, NOW_MS - 10 * 60_000
    commit(store, event("shop.a", 1, old, "old"), event("shop.a", 2, NOW_MS, "new"))
    commit(store, telemetry("shop.a", 3, *(minute + 1000 * n for n in range(30))))
    now_s = [NOW_MS / 1000]
    keep = Keep.parse("raw=48h,minutes=90d,hours=forever,events=30d,media=30d")
    first, other = (Upkeep(store.engine, MediaFolder(tmp_path), keep, wall=lambda: now_s[0]) for _ in range(2))
    first.once()
    assert first.problem == ""
    with reading(store.engine) as connection:
        assert [row["name"] for row in events.find(connection, Wanted()).items] == ["new"]
        whole = {"node": 0, "n": 1}
        rolled = connection.execute(select(sample_minutes.c.node, sample_minutes.c.n)).mappings().all()
        assert {row["n"] for row in rolled if row["node"]} == {30}
        assert whole in [dict(row) for row in rolled], "the fleet as a whole"
    # Another collector's upkeep beside it does nothing twice, and takes over when this one is gone.
    other.once()
    now_s[0] += 31 * 24 * 3600
    other.once()
    with reading(store.engine) as connection:
        assert events.find(connection, Wanted()).items == []
        assert len(connection.execute(select(sample_minutes)).all()) == len(rolled), "minutes are kept for longer"


def test_upkeep_says_what_keeps_it_from_working_and_goes_on(tmp_path: Path) -> None:
    store = Ingest(tmp_path / "fleet.db", wall=lambda: NOW_MS / 1000)
    upkeep = Upkeep(store.engine, MediaFolder(tmp_path), wall=lambda: NOW_MS / 1000)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    lock = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        upkeep.once()
        assert "locked" in upkeep.problem
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    upkeep.once()
    assert upkeep.problem == ""
    store.close()
