"""PostgreSQL: several collectors at once, days as partitions, and a server that dies."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

import pytest

from edgesdk.fleet.store import partitions, retention, rollups
from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.record_rows import rows_for
from edgesdk.fleet.store.records import Asked, Records
from edgesdk.fleet.store.retention import Keep
from edgesdk_testkit.postgresql import PostgresqlServer, running_postgresql
from edgesdk_testkit.reports import NOW_MS, birth, detection, reading_of, telemetry
from edgesdk_testkit.stores import postgresql

__all__ = ["postgresql"]

DAY = 86_400_000
DEVICES, NUMBERS = 40, 60


def _record(device: int, seq: int, at_ms: int = NOW_MS) -> Record:
    return Record(Stream(f"shop.d{device}", "e1"), seq, Kind.RESULT, at_ms + seq, f'{{"seq":{seq}}}')


def _wait_for_a_waiter(store: Ingest) -> None:
    """Return once somebody waits for a lock in the store's database."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with reading(store.engine) as connection:
            if connection.exec_driver_sql(asked).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def _patiently(store: Ingest, what: Reading) -> int:
    """Commit as the collector does: what time may mend is tried again."""
    while True:
        try:
            return sum(store.commit(what).stored.values())
        except StoreBusy:
            time.sleep(0.01)


def test_whatever_each_of_several_collectors_gets_it_is_stored_once_and_settled(postgresql: PostgresqlServer) -> None:
    url = postgresql.new_database("several")
    chance = random.Random(7)
    # Each message comes to one or two of them, in any order, in groups.
    sent = [(d, n) for d in range(DEVICES) for n in range(1, NUMBERS + 1)]
    sent += chance.sample(sent, len(sent) // 3)
    chance.shuffle(sent)
    groups = [sent[begin : begin + 50] for begin in range(0, len(sent), 50)]
    stores = [Ingest(url, wall=lambda: NOW_MS / 1000) for _ in range(3)]
    assert all(store.shared for store in stores)
    with ThreadPoolExecutor(3) as pool:
        done = [
            pool.submit(
                lambda s, own: [_patiently(s, Reading(records=[_record(*r) for r in g])) for g in own], s, groups[n::3]
            )
            for n, s in enumerate(stores)
        ]
        stored = sum(sum(one.result()) for one in done)
    assert stored == DEVICES * NUMBERS
    for device in range(DEVICES):
        assert stores[0].coverage(Stream(f"shop.d{device}", "e1")) == Coverage(NUMBERS)
    for store in stores:
        store.close()
    with Records(url) as held:
        rows = Counter((one["node"], one["seq"]) for one in held.find(Asked(), limit=None))
    assert set(rows.values()) == {1}
    assert len(rows) == DEVICES * NUMBERS


def test_two_that_write_of_the_same_devices_never_wait_for_each_other(postgresql: PostgresqlServer) -> None:
    """Births of some, results of others, and what is due of all: in two orders, PostgreSQL would end one of the two."""
    url = postgresql.new_database("order")
    ended: list[str] = []

    def write(seed: int) -> None:
        chance, seconds = random.Random(seed), iter(range(0, 10**6, 6))
        # Each commit is after the time in which a device is written once.
        store = Ingest(url, wall=lambda: NOW_MS / 1000 + next(seconds))
        for seq in range(1, 60):
            born, said = (chance.sample(range(30), 8) for _ in range(2))
            words = reading_of(*(birth(f"shop.d{one}", NOW_MS, session=seq) for one in born))
            words.add(reading_of(*(detection(f"shop.d{one}", 1000 * seed + seq, NOW_MS, "cat") for one in said)))
            try:
                store.commit(words)
            except StoreBusy as busy:
                ended.append(busy.message)
        store.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, seed) for seed in (1, 2)]:
            done.result()
    assert not ended


def test_a_sample_that_is_committed_late_is_not_passed_over_by_the_roll_up(postgresql: PostgresqlServer) -> None:
    """A number is given out before its row is committed, and a later one may be committed first."""
    url = postgresql.new_database("late")
    slow, quick = (Ingest(url, wall=lambda: NOW_MS / 1000) for _ in range(2))
    for number, store in enumerate((slow, quick)):
        store.commit(reading_of(telemetry(f"shop.early{number}", 1, NOW_MS)))
    assert rollups.roll(quick.engine) == 2
    with ThreadPoolExecutor(1) as pool:
        with slow.connection.begin():
            rows = rows_for(slow.connection)
            (sample,) = reading_of(telemetry("shop.a", 1, NOW_MS)).records[0].samples
            rows.add_records(slow.connection, [], NOW_MS)
            rows.add_samples(slow.connection, [(1, sample)])
            quick.commit(reading_of(telemetry("shop.b", 1, NOW_MS)))
            rolled = pool.submit(rollups.roll, quick.engine)
            with pytest.raises(NotYet):
                rolled.result(0.3)
        assert rolled.result(20) == 2
    for store in (slow, quick):
        store.close()


def test_each_day_is_a_partition_that_is_dropped_whole(postgresql: PostgresqlServer) -> None:
    store = Ingest(postgresql.new_database("days"), wall=lambda: NOW_MS / 1000)
    today = NOW_MS // DAY
    times = [NOW_MS, NOW_MS - DAY, NOW_MS - 3 * DAY, NOW_MS - 400 * DAY, NOW_MS - 500 * DAY]
    for seq, at in enumerate(times, 1):
        store.commit(reading_of(telemetry("shop.a", seq, at)))
    with reading(store.engine) as connection:
        assert partitions.days(connection, "samples") == [today - 3, today - 1, today]
        others = connection.exec_driver_sql("SELECT count(*) FROM samples_other").scalar()
    assert others == 2
    gone = retention.forget_old(store.engine, Keep(), NOW_MS)
    # One partition, and two rows among the others.
    assert gone["samples"] == gone["records"] == 3
    with reading(store.engine) as connection:
        assert partitions.days(connection, "samples") == [today - 1, today]
    # Rows of a day that lie among the others move when the day gets its partition.
    with writing(store.engine) as connection:
        connection.exec_driver_sql(f"INSERT INTO samples (node, at_ms) VALUES (1, {NOW_MS + DAY})")
        partitions.make(connection, "samples", today + 1)
        assert connection.exec_driver_sql(f"SELECT count(*) FROM samples_{today + 1}").scalar() == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM samples_other").scalar() == 0
    store.close()


def test_two_that_make_the_same_day_at_once_make_it_once(postgresql: PostgresqlServer) -> None:
    stores = [Ingest(postgresql.new_database("same_day"), wall=lambda: NOW_MS / 1000)]
    stores.append(Ingest(str(stores[0].place), wall=lambda: NOW_MS / 1000))
    day = NOW_MS // DAY
    with ThreadPoolExecutor(1) as pool, stores[0].connection.begin():
        partitions.make(stores[0].connection, "records", day)

        def second() -> None:
            with stores[1].connection.begin():
                partitions.make(stores[1].connection, "records", day)

        making = pool.submit(second)
        _wait_for_a_waiter(stores[0])
        assert not making.done()
        stores[0].connection.get_transaction().commit()  # type: ignore[union-attr]
        making.result(30)
    with reading(stores[0].engine) as connection:
        assert partitions.days(connection, "records") == [day]
    for store in stores:
        store.close()


def test_a_server_that_dies_loses_nothing_that_was_committed_and_is_waited_for() -> None:
    with running_postgresql() as server:
        store = Ingest(server.new_database("fleet"), wall=lambda: NOW_MS / 1000)
        for seq in range(1, 21):
            store.commit(Reading(records=[_record(1, seq)]))
        server.kill()
        for _ in range(3):
            with pytest.raises(StoreBusy):
                store.commit(Reading(records=[_record(1, 21)]))
        server.start()
        assert _patiently(store, Reading(records=[_record(1, 20), _record(1, 21)])) == 1
        assert store.coverage(Stream("shop.d1", "e1")) == Coverage(21)
        store.close()
