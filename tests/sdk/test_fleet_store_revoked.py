"""A device whose identity was taken back is not recorded any more, whatever the broker passes on; the others are."""

from __future__ import annotations

from sqlalchemy import update

from edgesdk.fleet.store import enrolments
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.tables import nodes
from edgesdk_testkit.reports import NOW_MS, event, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]


def test_a_revoked_device_is_turned_away_and_counted_until_it_is_enrolled_again(store_url: str) -> None:
    store = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    try:
        store.commit(reading_of(event("shop.a", 1, NOW_MS, "hot"), event("shop.b", 1, NOW_MS, "hot")))
        with writing(store.engine) as connection:
            enrolments.revoke_node(connection, "shop.a", "stolen", NOW_MS)
        both = reading_of(
            event("shop.a", 2, NOW_MS, "hot"), telemetry("shop.a", 3, NOW_MS), event("shop.b", 2, NOW_MS, "hot")
        )
        told = store.commit(both)
        assert {stream.node: count for stream, count in told.stored.items()} == {"shop.b": 1}
        assert told.refused == 2
        assert {stream.node for stream in told.coverage} == {"shop.b"}, "it is not told that anything was kept"
        with reading(store.engine) as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM records").scalar_one() == 3
        with writing(store.engine) as connection:
            connection.execute(update(nodes).where(nodes.c.name == "shop.a").values(revoked_ms=None))
        assert sum(store.commit(both).stored.values()) == 2, "it sends again what nobody acknowledged"
    finally:
        store.close()
