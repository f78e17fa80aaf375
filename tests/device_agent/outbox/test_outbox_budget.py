"""A long time offline, and a full disk: what is kept, what goes first, and what is told of it."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox import database
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import SEGMENT_RECORDS, GapCause, Segment
from edgesdk_testkit.collector_model import Collector, Device, report

EVENT, RESULT, TELEMETRY = ReportKind.EVENT, ReportKind.RESULT, ReportKind.TELEMETRY


def _on_disk(device: Device) -> int:
    return sum(file.stat().st_size for file in device.path.parent.iterdir())


# `EDGESDK_OFFLINE_HOURS=72` is the whole of it, and takes half a minute.
HOURS = float(os.environ.get("EDGESDK_OFFLINE_HOURS", "3"))


def test_a_long_time_offline_is_packed_and_drains_while_what_is_new_comes_first(tmp_path: Path) -> None:
    """The reports are alike; benchmarks/outbox.py packs some whose numbers are random, and tells what those take."""
    # A commit each minute instead of each second: sixty times fewer of the same, as time is simulated.
    device, collector = Device(tmp_path, OutboxSettings(sync_interval_s=60.0)), Collector()
    text = "a text as long as a result of some boxes, with numbers: %d" % 7  # noqa: UP031
    largest = 0
    for second in range(int(HOURS * 3600)):
        device.box.put(TELEMETRY if second % 10 == 0 else RESULT, report(RESULT if second % 10 else TELEMETRY, text))
        device.now += 1.0
        if second % 60 == 59:
            device.box.step()
        if second % 3600 == 0:
            largest = max(largest, _on_disk(device))
    produced = int(HOURS * 3600)
    assert device.box.pending == produced
    assert max(largest, _on_disk(device)) <= 9_000_000 * HOURS / 72 + 1_000_000
    # Back again: each second one new report, and at most the backlog's rate beside it.
    seconds = 0
    late: list[int] = []
    while device.box.pending:
        seq = device.box.put(RESULT, report(RESULT, text))
        produced += 1
        first = device.send(collector, 3)
        late.append(0 if first[0].seq == seq else 1)
        for _ in range(4):
            device.now += 0.25
            device.send(collector)
        device.box.acknowledge(collector.ack(device.box.epoch))
        device.box.step()
        seconds += 1
        assert seconds < 3600, "it does not drain"
    # At the first moment the last minute before it, which no commit had written yet, is as new.
    assert not any(late[1:]), "what is new left first, each time"
    assert len(collector.stored[device.box.epoch]) == produced
    assert not collector.gone, "nothing was lost within the budget"
    assert seconds < 1.5 * HOURS * 3600 / device.settings.backlog_per_s
    device.box.close()


def test_over_budget_the_lowest_and_oldest_go_first_and_the_books_are_exact_to_the_message(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, OutboxSettings(max_bytes=40_000)), Collector()
    produced: Counter[str] = Counter()
    order = [TELEMETRY, RESULT, RESULT, RESULT, EVENT]
    for number in range(4000):
        kind = order[number % 5]
        device.box.put(kind, report(kind, f"{number * 7919 % 10_007:x}"))
        produced[kind.value] += 1
        if number % 50 == 49:
            device.wait(1.0)
    counts = device.box.counts()
    assert counts.dropped["telemetry"] == 800, "all of the lowest kind went"
    assert counts.dropped["result"] > 0
    assert counts.dropped["event"] == 0, "events last"
    device.drain(collector)
    stored = Counter(
        {"tele": "telemetry"}.get(m.kind, m.kind)
        for m in collector.stored[device.box.epoch].values()
        if getattr(m, "name", "") != "gap"
    )
    assert stored + collector.lost == produced
    assert set(collector.causes) == {GapCause.BUDGET}
    results = [seq for seq, m in collector.stored[device.box.epoch].items() if m.kind == "result"]
    assert min(results) > 4000 - 3 * len(results), "the newest results were kept"
    device.box.close()


def test_events_go_when_there_is_nothing_else_and_that_is_told_too(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, OutboxSettings(max_bytes=4000)), Collector()
    for number in range(1000):
        device.box.put(EVENT, report(EVENT, f"{number * 7919 % 10_007:x}"))
        if number % 20 == 19:
            device.wait(1.0)
    assert device.box.counts().dropped["event"] > 500
    device.drain(collector)
    events = [m for m in collector.stored[device.box.epoch].values() if getattr(m, "name", "") == "made"]
    assert len(events) + collector.lost["event"] == 1000
    device.box.close()


def test_the_control_of_a_ledger_that_forgets_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesdk_agent.outbox.ledger import GapLedger

    add = GapLedger.add

    def forgetful(self, ranges, cause, kind=None):  # type: ignore[no-untyped-def]
        add(self, [r for r in ranges if r[0] != 6], cause, kind)

    monkeypatch.setattr(GapLedger, "add", forgetful)
    with pytest.raises(AssertionError):
        test_over_budget_the_lowest_and_oldest_go_first_and_the_books_are_exact_to_the_message(tmp_path)


def test_a_watermark_inside_a_segment_keeps_the_rest_of_it(tmp_path: Path) -> None:
    device, collector = Device(tmp_path), Collector(selective=False)
    for _ in range(130):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    [oldest, *_] = device.box._store.segments(RESULT)  # type: ignore[union-attr]
    assert oldest.members == ((1, SEGMENT_RECORDS),)
    ack = collector.ack(device.box.epoch)
    device.box.acknowledge(ack.model_copy(update={"upto": 17}))
    device.box.commit()
    [oldest, *_] = device.box._store.segments(RESULT)  # type: ignore[union-attr]
    assert oldest.members == ((18, SEGMENT_RECORDS),)
    counts = device.box.counts()
    assert (counts.delivered["result"], device.box.pending) == (17, 113)
    device.drain(collector)
    device.box.commit()
    assert device.box.counts().delivered["result"] == 130
    device.box.close()


def test_a_backlog_travels_in_segments_and_what_is_young_alone(tmp_path: Path) -> None:
    device, collector = Device(tmp_path), Collector()
    for _ in range(100):
        device.box.put(RESULT, report(RESULT))
        device.wait(0.5)
    messages = [collector.read(m) for m in device.send(None)]
    live = [m.seq for m in messages if not isinstance(m, Segment)]  # type: ignore[attr-defined]
    assert live
    assert min(live) > 90
    assert len(messages) - len(live) <= 3
    device.drain(collector)
    device.box.close()


def test_a_card_gets_less_than_what_is_reported_and_a_short_interval_is_what_costs(tmp_path: Path) -> None:
    written, said = {}, "some boxes, with numbers that differ: "
    for interval_s in (1.0, 30.0):
        (tmp_path / str(interval_s)).mkdir()
        device = Device(tmp_path / str(interval_s), OutboxSettings(bulk_sync_interval_s=interval_s))
        produced = 0
        for second in range(600):
            build = report(RESULT, f"{said}{second * 7919 % 10_007}")
            produced += len(build("0" * 16, second).payload)
            device.box.put(RESULT, build)
            for _ in range(5):
                device.wait(0.2)
        written[interval_s] = device.box.figures()["written_bytes_today"]
        device.box.close()
    assert written[30.0] < 2 * produced
    assert written[1.0] > 4 * written[30.0], "the control: a sync a second"


class _FullDisk:
    """A connection whose disk is full while `full` is set."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.full = False

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self._db, name)

    def execute(self, sql: str, *values):  # type: ignore[no-untyped-def]
        if self.full and sql.startswith("COMMIT"):
            self._db.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(sql, *values)


def test_a_full_disk_stops_nothing_and_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[_FullDisk] = []
    monkeypatch.setattr(database, "connect", lambda path: opened.append(_FullDisk(path)) or opened[-1])
    device, collector = Device(tmp_path, OutboxSettings(memory_bytes=20_000)), Collector()
    told: list[str] = []
    device.box.on_trouble(lambda code, _message: told.append(code))
    opened[0].full = True
    for _ in range(500):
        device.box.put(RESULT, report(RESULT))
        device.wait(0.2)
    assert told == ["outbox_unavailable"]
    assert 0 < device.box.pending < 500, "memory is bounded"
    opened[0].full = False
    device.wait(2.0)
    device.drain(collector)
    assert len(collector.stored[device.box.epoch]) - 1 + collector.lost["result"] == 500
    device.box.close()


@pytest.mark.parametrize("live", [False, True], ids=["found at the start", "found while it runs"])
def test_a_damaged_database_is_kept_aside_and_told(tmp_path: Path, live: bool) -> None:
    device, collector = Device(tmp_path), Collector()
    told: list[str] = []
    for _ in range(300):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    epoch = device.box.epoch
    if live:
        device.box.on_trouble(lambda code, _message: told.append(code))
        device.box._store._db.execute("DROP TABLE segments")  # type: ignore[union-attr]
    else:
        device.box.close()
        content = bytearray(device.path.read_bytes())
        content[1024:9000] = b"\xff" * (9000 - 1024)
        device.path.write_bytes(content)
        device.box = device._open()
        device.box.on_trouble(lambda code, _message: told.append(code))
    for _ in range(10):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
        device.send(collector)
    assert told == ["outbox_damaged"]
    assert device.path.with_name("outbox.db.damaged").exists()
    assert (device.box.epoch == epoch) is live
    device.drain(collector)
    stored = [m for m in collector.stored[device.box.epoch].values() if m.kind == "result"]
    if live:
        assert len(stored) + collector.causes[GapCause.DAMAGED] == 310
    else:
        assert len(stored) == 10
    device.box.commit()
    counts = device.box.counts()
    assert counts.pending + counts.in_flight == 0
    device.box.close()


def test_a_metered_device_lets_telemetry_wait_first_and_events_last(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, OutboxSettings(metered_bytes_per_day=20_000)), Collector()
    for number in range(300):
        device.box.put((RESULT, TELEMETRY, EVENT)[number % 3], report((RESULT, TELEMETRY, EVENT)[number % 3]))
        device.send(collector)
        device.box.acknowledge(collector.ack(device.box.epoch))
        device.wait(1.0)
    assert device.box.figures()["sent_bytes_today"] <= 20_000 + 1000
    heard = Counter(m.kind for m in collector.stored[device.box.epoch].values())
    assert heard["tele"] < heard["result"] <= heard["event"]
    assert device.box.pending == 300 - sum(heard.values())
    # The next day goes on where this one ended, and a restart does not begin a day anew.
    device.restart()
    assert device.box.figures()["sent_bytes_today"] > 15_000
    device.now += 86_400
    assert device.box.figures()["sent_bytes_today"] == 0
    device.send(collector)
    assert sum(Counter(m.kind for m in collector.stored[device.box.epoch].values()).values()) > sum(heard.values())
    device.box.close()
