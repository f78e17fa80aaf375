"""A message on a topic of another device is refused, and the fleet says so itself, however often only a few times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store import foreign_words
from edgesdk.fleet.store.batch import Reading
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted, find
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.gap_list import unreadable
from edgesdk.fleet.store.ingest import Ingest
from edgesdk_targets.messages import Message, encode, topic_of
from edgesdk_targets.messages.snapshot import Snapshot, encode_snapshot
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.reports import NOW_MS, birth, detection, event, moment, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

MINUTE_MS = 60_000


class Site:
    """A store that knows two devices, and a clock."""

    def __init__(self, url: str, media: Path) -> None:
        self.now_ms = NOW_MS
        self.store = Ingest(url, media=media, wall=lambda: self.now_ms / 1000)
        self.store.commit(reading_of(birth("shop.a", NOW_MS), birth("shop.b", NOW_MS)))

    def said(self, message: Message, topic_of_node: str, times: int = 1) -> None:
        """Let a message come on the topic of another device."""
        body = encode(message)
        self.came(str(topic_of(message)).replace(message.node, topic_of_node), body.payload, body.content_type, times)

    def came(self, topic: str, payload: bytes, content_type: str, times: int = 1) -> None:
        whole = Reading()
        for _ in range(times):
            whole.add(read(Received(topic, payload, content_type, received_ms=self.now_ms)))
        self.store.commit(whole)

    def told(self) -> list[dict[str, Any]]:
        """Return the fleet's own events, the oldest first."""
        with reading(self.store.engine) as connection:
            return find(connection, Wanted(name=foreign_words.EVENT)).items[::-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(str(tmp_path / "fleet.db"), tmp_path / "media")
    yield made
    made.store.close()


def test_it_is_refused_and_told_of_the_device_whose_topic_it_is(store_url: str, tmp_path: Path) -> None:
    site = Site(store_url, tmp_path / "media")
    site.said(event("shop.b", 7, NOW_MS, "door"), "shop.a")
    (told,) = site.told()
    assert (told["node"], told["severity"]) == ("shop.a", "warning")
    assert told["data"] == {"topic": "edgesdk/1/shop.a/up/event", "says": "shop.b", "count": 1}
    assert "says that it is of shop.b: refused" in told["message"]
    with reading(site.store.engine) as connection:
        (kept,) = unreadable(connection).items
        assert "belongs to shop.a" in kept["reason"]
        assert [one["name"] for one in find(connection, Wanted()).items] == [foreign_words.EVENT], (
            "nothing of it is stored"
        )
    # Nothing of the real one's sequence is settled by it.
    assert site.store.commit(reading_of(event("shop.a", 7, NOW_MS, "door"))).duplicates == 0
    site.store.close()


@pytest.mark.parametrize(
    "message",
    [detection("shop.b", 1, NOW_MS, "person"), telemetry("shop.b", 1, NOW_MS), birth("shop.b", NOW_MS)],
    ids=["result", "telemetry", "birth"],
)
def test_whatever_it_is(site: Site, message: Message) -> None:
    site.said(message, "shop.a")
    assert [one["data"]["says"] for one in site.told()] == ["shop.b"]


def test_a_picture_too(site: Site) -> None:
    shown = Snapshot(
        node="shop.b", at=moment(NOW_MS), epoch="e1", seq=1, id="s1", camera="door", frame=1, captured_at=moment(NOW_MS),
        width=4, height=4,
    )  # fmt: skip
    site.came("edgesdk/1/shop.a/up/snap", encode_snapshot(shown, b"\xff\xd8").payload, "image/jpeg")
    assert [one["data"]["says"] for one in site.told()] == ["shop.b"]


def test_a_thousand_of_them_are_an_event_in_ten_minutes(site: Site) -> None:
    for minute in range(21):
        site.now_ms = NOW_MS + minute * MINUTE_MS
        site.said(event("shop.b", 7, NOW_MS, "door"), "shop.a", times=50)
    assert [one["data"]["count"] for one in site.told()] == [50, 500, 500]


def test_who_makes_up_names_without_end_fills_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_words, "_MOST_REMEMBERED", 40)
    # The first words of each are stored under a name that it made up; those of nobody on nobody's topic are not.
    for number in range(100):
        site.said(event("shop.b", 7, NOW_MS, "door"), f"shop.x{number}")
        site.said(event(f"shop.y{number}", 7, NOW_MS, "door"), f"shop.z{number}")
    told = site.told()
    assert len(told) == foreign_words._MOST
    assert {one["node"] for one in told} == {"shop.b"}
    assert len(site.store._foreign._found) == 40


@pytest.mark.parametrize("says", ["shop.nobody", "shop.b"], ids=["nobody", "a device"])
def test_made_up_topics_before_it_hide_no_message_on_a_devices_own(
    site: Site, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_words, "_ASKED_AT_ONCE", 7)
    whole = Reading()
    for node, other in [*((f"shop.x{number}", says) for number in range(40)), ("shop.a", "shop.b")]:
        body = encode(event(other, 7, NOW_MS, "door"))
        whole.add(read(Received(f"edgesdk/1/{node}/up/event", body.payload, body.content_type, received_ms=NOW_MS)))
    site.store.commit(whole)
    assert "edgesdk/1/shop.a/up/event" in [one["data"]["topic"] for one in site.told()]


def test_what_was_not_committed_is_told_with_the_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("edgesdk.fleet.store.arrivals.settled", full)
        with pytest.raises(StoreBusy, match="No space"):
            site.said(event("shop.b", 7, NOW_MS, "door"), "shop.a")
    assert site.told() == []
    site.said(event("shop.b", 7, NOW_MS, "door"), "shop.a")
    assert [one["data"]["count"] for one in site.told()] == [1]


def test_it_stands_on_the_fleets_pages(tmp_path: Path) -> None:
    service = FleetService(tmp_path)
    service.add_user("viewer")
    site = Site(str(tmp_path / "fleet.db"), tmp_path / "media")
    site.said(event("shop.b", 7, NOW_MS, "door"), "shop.a")
    site.store.close()
    with service, service.logged_in("viewer") as client:
        for page in ("/", "/devices/shop.a"):
            assert "says that it is of shop.b: refused" in client.get(page).text
        assert [one["node"] for one in client.get("/api/v1/events?name=spoofed_topic").json()["events"]] == ["shop.a"]
