"""What a decoder takes and a database might not: no message of one device stops the record of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from edgesdk.fleet.collect.isolation import halves, refused
from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.collect.writer import BatchWriter
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import DeclaredGap, Kind, Picture, Presence, Reading, Record, Refusal, Stream
from edgesdk.fleet.store.coverage import MAX_ISLANDS, Coverage
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.failures import StoreBusy, Unstorable
from edgesdk.fleet.store.ingest import Committed, Ingest
from edgesdk.fleet.store.records import Records
from edgesdk.fleet.store.tables import metadata
from edgesdk_targets.messages.snapshot import Snapshot
from edgesdk_testkit.hostile_reports import hostile_reports
from edgesdk_testkit.odd_messages import odd_bodies
from edgesdk_testkit.reports import NOW_MS, event, moment, reading_of, telemetry
from edgesdk_testkit.stores import STORES, postgresql, store_url

__all__ = ["postgresql", "store_url"]

CAM, OTHER = Stream("local.cam1", "e1"), Stream("local.cam2", "e1")
_PATIENCE_S = 20.0


class _Clock:
    def __init__(self) -> None:
        self.seconds = NOW_MS / 1000

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def store(store_url: str, clock: _Clock) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=clock)
    yield opened
    opened.close()


def _committed(store: Ingest, reading: Reading) -> list[Committed]:
    """Commit as the collector does."""

    async def go() -> list[Committed]:
        done: list[Committed] = []
        writer = BatchWriter(store, done.append)
        running = asyncio.ensure_future(writer.run())
        try:
            waiting = asyncio.ensure_future(asyncio.wait_for(writer.put(reading), _PATIENCE_S))
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
            assert not running.done(), running.exception()
            return done
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            writer.close()

    return asyncio.run(go())


def test_odd_messages_are_taken_whole_and_shown(store: Ingest, clock: _Clock) -> None:
    bodies = odd_bodies("local.cam1", "e1")
    taken = [read(Received(topic, body, "", received_ms=NOW_MS)) for topic, body in bodies]
    assert sum(not one.refusals for one in taken) >= 110
    for one in taken:
        # One at a time, and each at a time when how the device is must be written.
        store.commit(one)
        clock.seconds += 10
        store.write_now()
    with Records(store.place) as held:
        (node,) = held.nodes()
    assert (node["records"], node["upto"]) == (sum(len(one.records) for one in taken), len(bodies))


def test_sql_in_any_text_that_a_device_says_is_a_text(store: Ingest) -> None:
    words = """x'); DROP TABLE nodes; -- " OR '1'='1' %s ? :node %(node)s $1"""
    said = hostile_reports(words)
    # What is no text of its own (a schema, a time) is refused, and its words stand in the quarantine.
    taken = [read(Received(topic, body, "", received_ms=NOW_MS)) for topic, body in said]
    assert sum(not one.refusals for one in taken) > 90
    whole = Reading()
    for one in taken:
        whole.add(one)
    store.commit(whole)
    with writing(store.engine) as connection:
        kept = {table.name: connection.execute(select(table)).mappings().all() for table in metadata.sorted_tables}
    names = [row["name"] for row in kept["nodes"]]
    assert set(names) <= {topic.split("/")[2] for topic, _ in said}
    assert len(names) > 90
    assert len(kept["records"]) == len(whole.records)
    # Negative control: they came as far as the tables, as they were said.
    for table, column in (
        ("nodes", "target"), ("nodes", "agent_version"), ("nodes", "bundle_name"), ("nodes", "hardware"), ("nodes", "cameras"),
        ("now", "reason"), ("reported", "step"), ("reported", "refused"), ("records", "camera"), ("records", "labels"),
        ("events", "message"), ("events", "camera"), ("events", "data"), ("samples", "latency_ms"), ("quarantine", "reason"),
    ):  # fmt: skip
        assert any("DROP TABLE nodes" in str(row[column]) for row in kept[table]), (table, column)


def test_of_a_group_that_cannot_be_written_one_report_goes_into_quarantine(store: Ingest) -> None:
    # A time that no column holds: the decoder lets none pass.
    bad = Record(CAM, 3, Kind.RESULT, 1 << 70, '{"seq":3}')
    good = [Record(CAM, seq, Kind.RESULT, NOW_MS, f'{{"seq":{seq}}}') for seq in (1, 2, 4, 6)]
    others = [Record(OTHER, seq, Kind.RESULT, NOW_MS, "{}") for seq in range(1, 50)]
    gap = DeclaredGap(CAM, (5, 5), 6, NOW_MS, "budget", {"result": 1})
    with pytest.raises((OverflowError, Unstorable)):
        store.commit(Reading(records=[bad]))
    done = _committed(store, Reading(records=[*good, bad, *others], gaps=[gap]))
    assert sum(sum(one.stored.values()) for one in done) == 53
    assert (sum(one.refused for one in done), len(done) < 20) == (1, True)
    # It counts as settled, or its device would send it for ever.
    assert (store.coverage(CAM), store.coverage(OTHER)) == (Coverage(6), Coverage(49))
    with Records(store.place) as held:
        (message,) = held.quarantine()["messages"]
    assert (message["topic"], message["begins"]) == ("edgesdk/1/local.cam1/up/result", '{"seq":3}')
    assert "cannot be written" in message["reason"]


def test_what_is_stored_and_forgotten_to_be_settled_comes_again_and_is_nobodys_fault(store: Ingest) -> None:
    # Two collectors take a busy device's messages in turn, and one of them dies: every other number is a hole.
    odd = [Record(CAM, seq, Kind.RESULT, NOW_MS, "{}") for seq in range(1, 2 * MAX_ISLANDS + 6, 2)]
    assert sum(sum(one.stored.values()) for one in _committed(store, Reading(records=odd))) == len(odd)
    assert odd[-1].seq not in store.coverage(CAM)
    # With a hole filled, nothing shows any more that the last were forgotten.
    _committed(store, Reading(records=[odd[0]._replace(seq=2), odd[0]._replace(seq=4)]))
    again = _committed(store, Reading(records=[odd[-1], odd[-1]._replace(seq=odd[-1].seq + 1)]))
    assert [(sum(one.stored.values()), one.duplicates, one.refused) for one in again] == [(1, 1, 0)]
    with Records(store.place) as held:
        (node,), refusals = held.nodes(), held.quarantine()["refused"]
    assert (node["records"], refusals) == (len(odd) + 3, 0)


def test_each_kind_of_report_can_be_parted_and_refused() -> None:
    shown = Snapshot(
        node="local.cam1", at=moment(0), epoch="e1", seq=1, id="s", camera="c", frame=1, captured_at=moment(0), width=1, height=1,
    )  # fmt: skip
    whole = Reading(
        [Record(CAM, 1, Kind.EVENT, 0, "{}")],
        [DeclaredGap(CAM, (2, 3), 4, 0, "crash", {})],
        [Presence(CAM, Kind.STATE, 0, "{}")],
        [Refusal("t", "r", b"", 0)],
        [Picture(CAM, 0, shown, b"jpeg")],
    )
    parts, single = [whole], list[Reading]()
    while parts:
        part = parts.pop()
        both = halves(part)
        if both is None:
            single.append(part)
        else:
            parts += both
    assert sorted(part.rows for part in single) == [1] * 5
    made = refused(whole, "why").refusals
    assert [(r.topic.rpartition("/")[2], r.seq) for r in made] == [
        ("event", 1), ("event", 0), ("state", 0), ("snap", 0), ("t", 0),
    ]  # fmt: skip


def test_an_event_that_is_kept_longer_than_its_record_may_come_again(store: Ingest) -> None:
    store.commit(reading_of(event("local.cam1", 2, NOW_MS, "door")))
    gap = DeclaredGap(CAM, (1, 2), 3, NOW_MS, "crash", {})
    store.commit(Reading(gaps=[gap]))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM records")
    store.commit(reading_of(event("local.cam1", 2, NOW_MS, "door")))
    with writing(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1


@pytest.mark.parametrize("store_url", STORES[1:], indirect=True)
def test_a_full_disk_of_postgresql_is_waited_for_and_is_not_the_end(store: Ingest) -> None:
    """COPY passes by SQLAlchemy: its errors are the driver's own."""
    store.commit(reading_of(telemetry("local.cam1", 1, NOW_MS)))
    with writing(store.engine) as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'could not extend file: no space left on device' USING ERRCODE = '53100'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER disk BEFORE INSERT ON samples FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    for _ in range(2):
        with pytest.raises(StoreBusy, match="no space left"):
            store.commit(reading_of(telemetry("local.cam1", 2, NOW_MS)))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER disk ON samples")
    assert sum(store.commit(reading_of(telemetry("local.cam1", 2, NOW_MS))).stored.values()) == 1


def test_what_a_database_says_of_a_value_is_told_from_what_it_says_of_itself(store: Ingest) -> None:
    (told,) = reading_of(telemetry("local.cam1", 1, NOW_MS)).records
    record = told._replace(body="{}\0" if not store.shared else "\0")
    if store.shared:
        with pytest.raises(Unstorable):
            store.commit(Reading(records=[record]))
    else:
        assert store.commit(Reading(records=[record])).stored == {CAM: 1}
