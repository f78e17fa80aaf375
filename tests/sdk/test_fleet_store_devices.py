"""Devices in the store: what they say of themselves, how they are listed, filtered and paged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edgesdk.fleet.store import devices, events, results
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.selection import Selection
from edgesdk_targets.errors import InputError
from edgesdk_testkit.reports import NOW_MS, birth, detection, event, reading_of, state, telemetry
from edgesdk_testkit.stores import STORES, postgresql, store_url

__all__ = ["postgresql", "store_url"]


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=clock)
    yield opened
    opened.close()


@pytest.fixture
def listed(store: Ingest, clock: Clock) -> Callable[..., list[dict[str, object]]]:
    def find(sort: str = "name", limit: int = 100, **filters: object) -> list[dict[str, object]]:
        with reading(store.engine) as connection:
            found = devices.find(connection, Selection(**filters), clock.ms, sort=sort, limit=limit)  # type: ignore[arg-type]
        return list(found.items)

    return find


def test_a_device_is_what_it_says_and_its_state_is_what_was_heard_last(
    store: Ingest, clock: Clock, listed: Callable[..., list[dict[str, object]]]
) -> None:
    node = "shop.door1"
    store.commit(reading_of(birth(node, NOW_MS), state(node, NOW_MS, "online"), telemetry(node, 1, NOW_MS - 500)))
    (found,) = listed()
    assert (found["state"], found["target"], found["bundle_name"]) == ("online", "rpi5", "shelf")
    figures = found["figures"]
    assert isinstance(figures, dict)
    assert (figures["fps"], figures["age_p95_ms"], figures["temperature_c"], figures["dropped"]) == (10, 40, 50, 10)
    assert found["dropped_by_cause"] == {"stale": 10}
    assert found["latency_ms"] == {"infer": [5.0, 8.0]}

    def now_is(expected: str) -> None:
        assert [one["state"] for one in listed()] == [expected]

    # A will of a connection before says nothing about this one.
    store.commit(reading_of(birth(node, NOW_MS, session=2), state(node, NOW_MS, "offline", session=1)))
    now_is("online")
    store.commit(reading_of(state(node, NOW_MS, "offline", session=2)))
    now_is("offline")
    store.commit(reading_of(birth(node, NOW_MS, session=1, boot_id="b2")))
    now_is("online")
    clock.ms += 61_000
    now_is("offline")
    degraded = telemetry(node, 2, clock.ms, state="degraded")
    store.commit(reading_of(degraded, received_ms=clock.ms))
    now_is("degraded")
    with writing(store.engine) as connection:
        connection.exec_driver_sql("UPDATE nodes SET revoked_ms = 1")
        connection.exec_driver_sql("INSERT INTO nodes (name, created_ms) VALUES ('shop.new', 1)")
    assert {one["name"]: one["state"] for one in listed()} == {node: "revoked", "shop.new": "never_seen"}


def test_what_was_kept_by_the_broker_makes_no_device_heard(
    store: Ingest, clock: Clock, listed: Callable[..., list[dict[str, object]]]
) -> None:
    store.commit(reading_of(birth("shop.a", NOW_MS - 9_000_000), retained=True))
    assert listed()[0]["heard_ms"] is None


def test_how_devices_are_is_written_every_few_seconds_and_events_at_once(store: Ingest, clock: Clock) -> None:
    def written() -> tuple[object, ...]:
        with reading(store.engine) as connection:
            return tuple(connection.exec_driver_sql("SELECT sample_ms, last_result, last_event FROM now").one())

    store.commit(reading_of(telemetry("shop.a", 1, clock.ms)))
    first = clock.ms
    clock.ms += 1000
    store.commit(reading_of(telemetry("shop.a", 2, clock.ms), detection("shop.a", 3, clock.ms, "person")))
    assert written() == (first, "", "")
    assert store.unwritten
    clock.ms += 1000
    store.commit(reading_of(event("shop.a", 4, clock.ms, "camera_lost", "door: no picture", "error")))
    assert written() == (clock.ms - 1000, "1: person 0.9", "camera_lost: door: no picture")
    clock.ms += 1000
    store.commit(reading_of(telemetry("shop.a", 5, clock.ms)))
    clock.ms += 5000
    store.write_now()
    assert written()[0] == clock.ms - 5000
    assert not store.unwritten


def test_devices_are_filtered_sorted_and_paged_without_one_twice(
    store: Ingest, clock: Clock, listed: Callable[..., list[dict[str, object]]]
) -> None:
    for number in range(25):
        node = f"shop.cam{number:02}"
        fps = float(number % 5)
        store.commit(
            reading_of(
                birth(node, NOW_MS, bundle="a" if number % 2 else "b", target="rpi5" if number < 20 else "jetson"),
                telemetry(node, 1, NOW_MS, fps=fps),
            )
        )
    with writing(store.engine) as connection:
        devices.describe(connection, "shop.cam03", {"site": "north", "title": "Door 100%"})
        devices.set_tags(connection, "shop.cam03", ["till", " door ", "till"])
        devices.set_tags(connection, "shop.cam04", ["till"])
        assert not devices.set_tags(connection, "shop.nobody", ["till"])
    assert len(listed()) == 25
    assert [one["name"] for one in listed(tags=("till",))] == ["shop.cam03", "shop.cam04"]
    assert [one["tags"] for one in listed(tags=("till", "door"))] == [["door", "till"]]
    assert [one["name"] for one in listed(site="north")] == ["shop.cam03"]
    assert [one["name"] for one in listed(text="100%")] == ["shop.cam03"]
    assert listed(text="1_0") == []
    assert len(listed(bundle="a", target="jetson")) == 2
    assert len(listed(bundle="a@1.0.0")) == 12
    assert listed(bundle="a@2") == []
    assert len(listed(state="online")) == 25
    assert listed(state="offline,degraded") == []
    for sort in ("name", "-name", "fps", "-fps", "heard_ms", "-temperature_c"):
        paged, cursor = [], ""
        with reading(store.engine) as connection:
            while True:
                found = devices.find(connection, Selection(), clock.ms, sort=sort, cursor=cursor, limit=7)
                paged += [one["name"] for one in found.items]
                cursor = found.next
                if not cursor:
                    break
        assert paged == [one["name"] for one in listed(sort)]
        assert len(set(paged)) == 25
    with reading(store.engine) as connection:
        assert devices.choices(connection) == {
            "sites": ["north"], "targets": ["jetson", "rpi5"], "bundles": ["a", "b"], "tags": ["door", "till"],
        }  # fmt: skip
        told = devices.summary(connection, clock.ms)
        assert (told["devices"], told["states"]["online"], told["fps"], told["age_p95_ms"]) == (25, 25, 50.0, 40.0)
        one = devices.get(connection, "shop.cam03", clock.ms)
        assert one is not None
        assert (one["title"], one["epochs"]) == ("Door 100%", [{"epoch": "e1", "upto": 1, "ahead": []}])
        assert devices.get(connection, "shop.nobody", clock.ms) is None


def test_what_is_wrong_in_a_question_is_said(store: Ingest, clock: Clock) -> None:
    with reading(store.engine) as connection:
        for wrong in ({"sort": "password"}, {"cursor": "x"}, {"cursor": "WzFd"}, {"limit": 0}, {"limit": 100_000}):
            with pytest.raises(InputError):
                devices.find(connection, Selection(), clock.ms, **wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="no state"):
            devices.find(connection, Selection(state="gone"), clock.ms)
    with pytest.raises(InputError, match="no filter"):
        Selection.of({"colour": "red"})
    assert Selection.of(Selection(tags=("a",), site="x").to_json()) == Selection(tags=("a",), site="x")


@pytest.mark.parametrize("store_url", STORES[:1], indirect=True)
def test_a_search_that_finds_nothing_has_an_end(store: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [detection("shop.a", seq, NOW_MS - seq, "person") for seq in range(1, 1500)]
    store.commit(reading_of(*said, event("shop.a", 1500, NOW_MS, "door")))
    wanted = Wanted(label="elephant", text="elephant")
    with reading(store.engine) as connection:
        assert results.find(connection, wanted).items == events.find(connection, wanted).items == []
        monkeypatch.setattr(results, "SEARCH_S", 0.0)
        with pytest.raises(InputError, match="not found within"):
            results.find(connection, wanted)
        # What is found early is not looked for in all the rest.
        assert len(results.find(connection, Wanted(label="person"), limit=5).items) == 5


def test_what_a_removed_device_reported_is_nobody_elses(store: Ingest, clock: Clock) -> None:
    """A file gives the next device the number that was the last one's."""
    store.commit(reading_of(telemetry("shop.gone", 1, NOW_MS), event("shop.gone", 2, NOW_MS, "door")))
    with writing(store.engine) as connection:
        assert devices.remove(connection, "shop.gone")
    done = store.commit(reading_of(telemetry("shop.new", 1, NOW_MS + 1)))
    assert sum(done.stored.values()) == 1
    with reading(store.engine) as connection:
        for table, times in (("records", [NOW_MS + 1]), ("samples", [NOW_MS + 1]), ("events", [])):
            assert connection.exec_driver_sql(f"SELECT at_ms FROM {table}").scalars().all() == times, table


def test_a_device_that_is_removed_and_speaks_again_is_a_new_one(store: Ingest, clock: Clock) -> None:
    store.commit(reading_of(telemetry("shop.a", 1, NOW_MS)))
    with writing(store.engine) as connection:
        assert devices.remove(connection, "shop.a")
        assert not devices.remove(connection, "shop.a")
    done = store.commit(reading_of(telemetry("shop.a", 2, NOW_MS)))
    assert sum(done.stored.values()) == 1
    with reading(store.engine) as connection:
        assert devices.get(connection, "shop.a", clock.ms) is not None
