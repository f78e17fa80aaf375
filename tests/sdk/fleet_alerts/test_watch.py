"""Alerts on a real store: written once, told once, over a restart; what cannot be told is tried again or given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from edgesdk.fleet.alerts.channel_settings import Seal, sealed_settings, shown_settings
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.scope import Scope
from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.alerts.watch import AlertWatch
from edgesdk.fleet.store import alert_rules, vitals
from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.selection import STALE_MS
from edgesdk.fleet.store.tables import alerts, node_tags, nodes, notifications, now, sample_hours
from edgesdk_targets.errors import InputError
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

START = 1_800_000_000.0
AWAY = Rule(name="away", kind="offline_for", limit=300, clear_for_s=0)


class Fleet:
    """A store with three devices, a clock, and what was said over MQTT."""

    def __init__(self, folder: Path, url: str) -> None:
        self.engine: Engine = open_store(url)
        self.seal = Seal.in_file(folder / "seal.key")
        self.time = START
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.connected = True
        self.watch = self.restarted()
        ms = int(START * 1000)
        with writing(self.engine) as connection:
            for row in (1, 2, 3):
                connection.execute(insert(nodes).values(id=row, name=f"shop.d{row}", created_ms=ms, site="berlin"))
                connection.execute(insert(now).values(node=row, said="online", said_ms=ms, heard_ms=ms))
            connection.execute(insert(node_tags).values(node=1, tag="door"))
            alert_rules.put_channel(connection, "lamp", "mqtt", sealed_settings("mqtt", {}, self.seal), ms)

    def restarted(self) -> AlertWatch:
        self.watch = AlertWatch(
            self.engine, self.seal, say=self._say, connected=lambda: self.connected, clock=lambda: self.time
        )
        return self.watch

    def rule(self, rule: Rule) -> None:
        with writing(self.engine) as connection:
            alert_rules.put_rule(connection, rule, "test", 1)

    def change(self, *rows: int, **values: Any) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(now).where(now.c.node.in_(rows)).values(**values))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in which who is online goes on speaking."""
        self.time += seconds
        with writing(self.engine) as connection:
            connection.execute(update(now).where(now.c.said == "online").values(heard_ms=int(self.time * 1000)))

    def after(self, seconds: float) -> list[str]:
        """Let time pass, look and send; return the notices' titles."""
        self.pass_time(seconds)
        outcome = self.watch.look()
        self.watch.send()
        return [notice.title for notice in outcome.notices]

    def rows(self, table: Any) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(select(table).order_by(table.c.id)))

    def _say(self, topic: str, payload: bytes, **_: Any) -> None:
        self.said.append((topic, json.loads(payload)))


@pytest.fixture
def fleet(tmp_path: Path, store_url: str) -> Iterator[Fleet]:
    made = Fleet(tmp_path, store_url)
    yield made
    made.engine.dispose()


def test_an_alert_is_told_once_also_over_a_restart(fleet: Fleet) -> None:
    fleet.rule(AWAY)
    assert fleet.after(0) == []
    fleet.change(1, 2, said="offline")
    assert fleet.after(301) == ["[WARNING] away: 2 devices"]
    fleet.restarted()
    assert fleet.after(5) == []
    assert [topic for topic, _ in fleet.said] == ["edgesdk-alerts/shop.d1/away", "edgesdk-alerts/shop.d2/away"]
    fleet.change(1, 2, said="online", heard_ms=int(fleet.time * 1000))
    assert fleet.after(5) == ["[RESOLVED] away: 2 devices"]
    assert [document["state"] for _, document in fleet.said] == ["firing", "firing", "resolved", "resolved"]
    found = fleet.rows(alerts)
    assert [(row.state, row.cleared_ms - row.fired_ms) for row in found] == [("cleared", 10_000)] * 2
    assert {row.state for row in fleet.rows(notifications)} == {"sent"}


def test_what_is_suspected_is_remembered_over_a_restart_and_what_comes_to_nothing_is_not_kept(fleet: Fleet) -> None:
    fleet.rule(Rule(name="hot", kind="temperature_over", limit=80, for_s=60, clear_for_s=0))
    fleet.change(1, 2, sample_ms=int(START * 1000), temperature_c=850)
    assert fleet.after(0) == []
    assert [row.state for row in fleet.rows(alerts)] == ["pending", "pending"]
    fleet.restarted()
    fleet.change(2, temperature_c=700)
    assert fleet.after(60) == ["[WARNING] hot: shop.d1"]
    assert [(row.node, row.state, row.value) for row in fleet.rows(alerts)] == [(1, "firing", 85.0)]


def test_a_channel_that_is_away_is_told_later_and_one_that_cannot_is_given_up(fleet: Fleet) -> None:
    refused = sealed_settings("webhook", {"url": "http://127.0.0.1:9/", "secret": "hush"}, fleet.seal)
    with writing(fleet.engine) as connection:
        alert_rules.put_channel(connection, "hook", "webhook", refused, 1)
    fleet.rule(AWAY)
    fleet.connected = False
    fleet.change(1, said="offline")
    fleet.after(301)
    states = {row.channel: (row.state, row.attempts) for row in fleet.rows(notifications)}
    assert sorted(states.values()) == [("failed", 1), ("waiting", 1)]
    fleet.connected = True
    assert fleet.watch.send() == 0, "not before its time"
    fleet.time += 11
    assert fleet.watch.send() == 1
    assert fleet.said[0][0] == "edgesdk-alerts/shop.d1/away"


def test_two_services_tell_nobody_twice_however_slow_a_receiver_is(fleet: Fleet) -> None:
    fleet.rule(AWAY)
    fleet.change(1, 2, said="offline")
    fleet.pass_time(301)
    fleet.watch.look()
    told: list[str] = []

    def slowly(topic: str, payload: bytes, **_: Any) -> None:
        told.append(topic)
        # Longer than a job is lent; meanwhile another service looks for what is due.
        fleet.time += 90
        assert fleet.restarted().send() == 0

    service = AlertWatch(fleet.engine, fleet.seal, say=slowly, connected=lambda: True, clock=lambda: fleet.time)
    assert service.send() == 1
    assert (sorted(told), fleet.said) == (["edgesdk-alerts/shop.d1/away", "edgesdk-alerts/shop.d2/away"], [])


def test_who_dies_while_it_sends_is_followed_by_another(fleet: Fleet) -> None:
    fleet.rule(AWAY)
    fleet.change(1, said="offline")
    fleet.pass_time(301)
    fleet.watch.look()

    def dies(*_: Any, **__: Any) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        AlertWatch(fleet.engine, fleet.seal, say=dies, connected=lambda: True, clock=lambda: fleet.time).send()
    assert fleet.watch.send() == 0
    fleet.time += 301
    assert fleet.watch.send() == 1


def test_a_rule_that_is_removed_leaves_nothing_open(fleet: Fleet) -> None:
    fleet.rule(AWAY)
    fleet.change(1, said="offline")
    fleet.after(301)
    with writing(fleet.engine) as connection:
        alert_rules.delete_rule(connection, "away")
    assert fleet.after(5) == []
    assert fleet.rows(alerts) == []


def test_rules_come_back_from_the_store_as_they_went_in(fleet: Fleet) -> None:
    rules = [
        AWAY,
        Rule(
            name="slow", kind="fps_under", limit=0.5, clear=0.7, for_s=90.5, clear_for_s=30, severity="critical",
            scope=Scope(sites=("berlin",), tags=("door",)), channels=("lamp",), repeat_s=3600, enabled=False,
        ),
    ]  # fmt: skip
    for rule in rules:
        fleet.rule(rule)
    with reading(fleet.engine) as connection:
        assert list(alert_rules.list_rules(connection).values()) == rules


def test_silences_come_back_and_hold_back(fleet: Fleet) -> None:
    fleet.rule(AWAY)
    silence = Silence.model_validate(
        {"scope": {"tags": ["door"]}, "weekly": {"start": "00:00", "end": "23:59"}, "reason": "works"}
    )
    with writing(fleet.engine) as connection:
        row = alert_rules.add_silence(connection, silence, "test", int(START * 1000) - 1)
    with reading(fleet.engine) as connection:
        kept = alert_rules.list_silences(connection, int(START * 1000))[row]
    assert (kept.scope, kept.weekly, kept.until) == (silence.scope, silence.weekly, None)
    fleet.change(1, 2, said="offline")
    assert fleet.after(301) == ["[WARNING] away: shop.d2"]
    with writing(fleet.engine) as connection:
        alert_rules.end_silence(connection, row, int(fleet.time * 1000))
    assert fleet.after(5) == ["[WARNING] away: shop.d1"]


def test_a_device_is_known_by_its_will_by_its_silence_or_not_at_all(fleet: Fleet) -> None:
    ms = int(START * 1000)
    fleet.change(2, heard_ms=ms - STALE_MS - 1, said_ms=ms - STALE_MS - 1)
    with writing(fleet.engine) as connection:
        connection.execute(insert(nodes).values(id=9, name="shop.new", created_ms=ms))
        connection.execute(update(nodes).where(nodes.c.id == 3).values(revoked_ms=ms))
    with reading(fleet.engine) as connection:
        found = {one.subject.node: one for one in vitals.read_vitals(connection, ms, {})}
    assert {node: one.presence for node, one in found.items()} == {
        "shop.d1": "online", "shop.d2": "offline", "shop.d3": "revoked", "shop.new": "never",
    }  # fmt: skip
    assert found["shop.d1"].subject.tags == {"door"}


def test_a_baseline_is_the_median_of_hours_and_not_of_the_last_one(fleet: Fleet) -> None:
    hour = 3_600_000
    ms = int(START * 1000)
    with writing(fleet.engine) as connection:
        for back in range(1, 10):
            rate = 1000 if back > 1 else 10
            connection.execute(
                insert(sample_hours).values(node=1, at_ms=ms - back * hour + 1, n=60, fps_n=60, fps_sum=rate * 60)
            )
        assert vitals.read_baselines(connection, ms) == {1: 10.0}


def test_secrets_are_sealed_and_never_shown(fleet: Fleet, tmp_path: Path) -> None:
    given = {"url": "https://hooks.example.org/x", "secret": "hush"}
    stored = sealed_settings("webhook", given, fleet.seal)
    assert "hush" not in json.dumps(stored)
    assert fleet.seal.open(stored["secret"]) == "hush"
    assert shown_settings(stored)["secret"] == "***"
    kept = sealed_settings("webhook", {"url": given["url"], "timeout_s": 5}, fleet.seal, before=stored)
    assert kept["secret"] == stored["secret"], "a secret that is left out stays"
    with pytest.raises(InputError, match="given for another URL"):
        sealed_settings("webhook", {"url": "https://other.example.org/"}, fleet.seal, before=stored)
    gone = sealed_settings("webhook", {"url": "https://other.example.org/", "secret": None}, fleet.seal, before=stored)
    assert "secret" not in gone
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="another key"):
        Seal.in_file(tmp_path / "other.key").open(stored["secret"])
    with pytest.raises(InputError, match="recipients"):
        sealed_settings("email", {"host": "h", "sender": "a@b.c"}, fleet.seal)
