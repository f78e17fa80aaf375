"""Figures over time: minutes and hours that add up whenever their samples come, and charts with gaps as gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select

from edgesdk.fleet.store import retention, rollups, series
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.retention import Keep
from edgesdk.fleet.store.tables import alert_rules, alerts, audit
from edgesdk_targets.errors import InputError
from edgesdk_testkit.reports import NOW_MS, event, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture
def store(store_url: str) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    yield opened
    opened.close()


def test_the_audit_log_has_an_end(store: Ingest) -> None:
    """Strangers who knock write lines into it."""
    with writing(store.engine) as connection:
        rows = [{"at_ms": NOW_MS - days * DAY, "actor": "x", "action": "login"} for days in (731, 729, 0)]
        connection.execute(insert(audit), rows)
    assert retention.forget_old(store.engine, Keep(), NOW_MS)["audit"] == 1
    assert "audit" not in retention.forget_old(store.engine, Keep.parse("audit=forever"), NOW_MS)


def _minutes(store: Ingest, columns: str, node: int = 1, table: str = "sample_minutes") -> list[tuple[object, ...]]:
    with reading(store.engine) as connection:
        rows = connection.exec_driver_sql(f"SELECT at_ms, {columns} FROM {table} WHERE node = {node} ORDER BY at_ms")
        return [tuple(row) for row in rows]


def _say(store: Ingest, seq: int, *at_ms: int, node: str = "shop.a", fps: float | None = 10.0, **more: object) -> None:
    store.commit(reading_of(telemetry(node, seq, *at_ms, fps=fps, **more)))


def test_a_minute_adds_up_whether_its_samples_come_in_time_late_or_twice(store: Ingest) -> None:
    begin = NOW_MS - 3 * DAY
    _say(store, 1, begin, begin + 1000, fps=10.0)
    assert rollups.roll(store.engine) == 2
    _say(store, 3, begin + HOUR, fps=30.0)
    # The others of the first minute come days later, and one of them was there.
    _say(store, 2, begin + 2000, begin + 59_999, fps=25.0, temperature_c=80.0)
    _say(store, 1, begin, begin + 1000, fps=10.0)
    assert rollups.roll(store.engine) == 3
    assert rollups.roll(store.engine) == 0
    first = (begin, 4, 4, 7000, 1000, 2500, 800)
    columns = "n, fps_n, fps_sum, fps_min, fps_max, temperature_c_max"
    assert _minutes(store, columns) == [first, (begin + HOUR, 1, 1, 3000, 3000, 3000, 500)]
    assert _minutes(store, columns, table="sample_hours")[0] == first


def test_what_was_rolled_up_survives_its_samples_and_late_ones_add_to_it(store: Ingest) -> None:
    begin = NOW_MS - 5 * DAY
    _say(store, 1, begin)
    gone = retention.forget_old(store.engine, Keep(), NOW_MS)
    assert gone["samples"] == gone["records"] == 1
    _say(store, 2, begin + 1000)
    retention.forget_old(store.engine, Keep(), NOW_MS)
    assert _minutes(store, "n") == [(begin, 2)]
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM samples").scalar() == 0
    # It stays settled: what is sent again is neither stored nor counted again.
    assert sum(store.commit(reading_of(telemetry("shop.a", 1, begin))).stored.values()) == 0


def test_what_is_committed_while_old_things_are_forgotten_is_rolled_up_first(
    store: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that was away for days sends its backlog at any moment, also between two steps."""
    begin = NOW_MS - 5 * DAY
    _say(store, 1, begin)
    roll, came = rollups.roll, iter([2])

    def roll_and_then(*arguments: Any, **options: Any) -> int:
        done = roll(*arguments, **options)
        for seq in came:
            _say(store, seq, begin + 1000)
        return done

    monkeypatch.setattr(rollups, "roll", roll_and_then)
    retention.forget_old(store.engine, Keep(), NOW_MS)
    roll(store.engine)
    assert _minutes(store, "n") == [(begin, 2)]
    assert retention.forget_old(store.engine, Keep(), NOW_MS)["samples"] >= 1
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM samples").scalar() == 0


def test_figures_that_a_device_does_not_say_count_for_nothing(store: Ingest) -> None:
    _say(store, 1, NOW_MS - 1000, NOW_MS - 500, fps=None, temperature_c=None)
    rollups.roll(store.engine)
    assert _minutes(store, "n, fps_n, fps_sum, fps_max, temperature_c_sum") == [
        (NOW_MS - MINUTE, 2, None, None, None, None)
    ]


def test_the_fleet_is_the_sum_of_its_devices_means(store: Ingest) -> None:
    begin = NOW_MS - 10 * MINUTE
    for node, fps in (("shop.a", 10.0), ("shop.b", 30.0)):
        for minute in range(3):
            at = begin + minute * MINUTE
            _say(store, minute + 1, at, at + 1000, node=node, fps=fps)
    # One that speaks more often counts no more than the others.
    _say(store, 4, *(begin + 2000 + n for n in range(10)), node="shop.b", fps=30.0)
    rollups.roll(store.engine)
    with reading(store.engine) as connection:
        found = series.of_device(connection, rollups.WHOLE_FLEET, ["fps", "age_p95_ms"], begin, NOW_MS, points=10)
    fps, age = found.lines
    assert [value for value in fps.mean if value is not None] == [40.0, 40.0, 40.0]
    assert {value for value in age.mean if value is not None} == {40.0}


def test_a_chart_has_as_many_points_as_it_asks_for_and_gaps_are_gaps(store: Ingest) -> None:
    begin = NOW_MS - HOUR
    times = [begin + 10_000 * n for n in range(360) if not 100 <= n < 200]
    for seq, at in enumerate(times, 1):
        _say(store, seq, at, fps=50.0 if seq == 50 else 10.0)
    rollups.roll(store.engine)
    with reading(store.engine) as connection:
        for points in (60, 400):
            found = series.of_device(connection, 1, ["fps", "dropped"], begin, NOW_MS, points=points)
            fps, dropped = found.lines
            assert len(found.at_ms) <= points + 1
            assert found.at_ms == sorted(found.at_ms)
            holes = [at for at, value in zip(found.at_ms, fps.mean, strict=True) if value is None]
            assert len(holes) == 1
            assert begin + 990_000 < holes[0] < begin + 2_000_000
            # A peak of one sample is seen, however coarse.
            assert max(value for value in fps.high if value is not None) == 50.0
            # Ten frames more from each message to the next; less where a bucket is cut, and over the gap.
            rates = [value for value in dropped.mean if value is not None]
            assert sorted(rates)[2:] == pytest.approx([1.0] * (len(rates) - 2))
            assert 0 < min(rates) < 0.1
        assert series.of_device(connection, 1, ["fps"], begin, NOW_MS, points=400).source == "samples"
        assert series.of_device(connection, 1, ["fps"], begin, NOW_MS, points=60).source == "sample_minutes"
        assert series.of_device(connection, 1, ["fps"], NOW_MS - 90 * DAY, NOW_MS).source == "sample_hours"
        empty = series.of_device(connection, 99, ["fps"], begin, NOW_MS)
        assert (empty.at_ms, empty.lines[0].mean) == ([], [])


def test_a_counter_that_begins_again_with_the_agent_loses_nothing_and_goes_not_below_zero(store: Ingest) -> None:
    for seq, (at, captured) in enumerate([(0, 100), (60, 700), (120, 60), (180, 660)], 1):
        _say(store, seq, NOW_MS - HOUR + at * 1000, captured=captured)
    rollups.roll(store.engine)
    with reading(store.engine) as connection:
        (line,) = series.of_device(connection, 1, ["captured"], NOW_MS - HOUR, NOW_MS, points=60).lines
    assert [value for value in line.mean if value is not None] == [10.0, 1.0, 10.0]


def test_stages_and_causes_are_told_apart(store: Ingest) -> None:
    for seq in range(1, 5):
        _say(store, seq, NOW_MS - HOUR + seq * MINUTE)
    rollups.roll(store.engine)
    with reading(store.engine) as connection:
        drops = series.breakdown(connection, 1, "dropped_by_cause", NOW_MS - HOUR, NOW_MS, points=60)
        latency = series.breakdown(connection, 1, "latency_ms", NOW_MS - HOUR, NOW_MS, points=60)
    assert drops["lines"] == {"stale": [None, *[pytest.approx(10 / 60)] * 3]}
    assert latency["lines"] == {"infer": [8.0] * 4}


def test_small_charts_of_many_devices_are_of_one_length(store: Ingest) -> None:
    for node in ("shop.a", "shop.b"):
        _say(store, 1, NOW_MS - HOUR, node=node)
        _say(store, 2, NOW_MS - 1, node=node, fps=20.0)
    rollups.roll(store.engine)
    with reading(store.engine) as connection:
        found = series.sparklines(connection, [1, 2, 3], "fps", NOW_MS - HOUR, NOW_MS, points=30)
    assert found[1] == found[2] == [10.0, *[None] * 28, 20.0]
    assert found[3] == [None] * 30


def test_what_cannot_be_drawn_is_refused(store: Ingest) -> None:
    with reading(store.engine) as connection:
        for figures, begin, end, points in (
            (["fps; DROP TABLE samples"], 0, 1000, 10),
            (["fps"], 1000, 1000, 10),
            (["fps"], 0, 1000, 1_000_000),
        ):
            with pytest.raises(InputError):
                series.of_device(connection, 1, figures, begin, end, points=points)
        with pytest.raises(InputError):
            series.breakdown(connection, 1, "body", 0, 1000)


def test_absurd_numbers_and_times_fit(store: Ingest) -> None:
    _say(store, 1, NOW_MS - 1000, fps=1e308, memory_bytes=10**30, temperature_c=-1e300)
    _say(store, 2, -30_000_000_000_000, 253_000_000_000_000)
    rollups.roll(store.engine)
    assert retention.forget_old(store.engine, Keep(), NOW_MS)["samples"] >= 1


def test_each_thing_is_kept_as_long_as_it_shall_be(store: Ingest) -> None:
    for day in (0, 1, 3, 100, 400):
        at = NOW_MS - day * DAY - 1000
        _say(store, day + 1, at)
        store.commit(reading_of(event("shop.a", 1000 + day, at, "door")))

    def left() -> list[int]:
        with reading(store.engine) as connection:
            tables = ("samples", "sample_minutes", "sample_hours", "events")
            return [
                connection.exec_driver_sql(f"SELECT count(*) FROM {t} WHERE node = 1").scalar() or 0 for t in tables
            ]

    retention.forget_old(store.engine, Keep(), NOW_MS)
    assert left() == [2, 3, 5, 4]
    retention.forget_old(store.engine, Keep.parse("raw=12h, minutes=2d, hours=1y, events=1w"), NOW_MS)
    assert left() == [1, 2, 4, 3]
    retention.forget_old(store.engine, Keep.parse("raw=forever,minutes=forever"), NOW_MS + 9 * DAY)
    assert left()[:2] == [1, 2]
    for wrong in ("raw", "raw=2", "raw=-1h", "everything=1d", "raw=0h"):
        with pytest.raises(InputError):
            Keep.parse(wrong)


def test_alerts_that_are_over_are_forgotten_and_those_that_are_not_stay(store: Ingest) -> None:
    _say(store, 1, NOW_MS)
    with writing(store.engine) as connection:
        connection.execute(
            insert(alert_rules).values(id=1, name="hot", kind="temperature_over", created_ms=0, updated_ms=0)
        )
        for since, cleared in ((400, None), (400, 390), (20, 10)):
            begun = NOW_MS - since * DAY
            over = None if cleared is None else NOW_MS - cleared * DAY
            values = {"state": "firing" if over is None else "cleared", "since_ms": begun, "cleared_ms": over}
            connection.execute(insert(alerts).values(rule=1, node=1, severity="warning", updated_ms=begun, **values))
    assert retention.forget_old(store.engine, Keep(), NOW_MS)["alerts"] == 1
    with reading(store.engine) as connection:
        assert set(connection.scalars(select(alerts.c.cleared_ms))) == {None, NOW_MS - 10 * DAY}
    assert retention.forget_old(store.engine, Keep.parse("alerts=1d"), NOW_MS)["alerts"] == 1


def test_what_a_dashboard_asks_every_second_reads_no_alert_that_is_over(store: Ingest) -> None:
    with reading(store.engine) as connection:
        if store.shared:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for asked in ("count(*) FROM alerts WHERE state = 'firing'", "max(updated_ms) FROM alerts"):
            how = "EXPLAIN" if store.shared else "EXPLAIN QUERY PLAN"
            plan = str(connection.exec_driver_sql(f"{how} SELECT {asked}").all())
            assert "alerts_firing" in plan or "alerts_changed" in plan, plan
