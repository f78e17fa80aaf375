"""Whatever happens to a device: each report is stored, declared as gone, or still kept; and a number names one report."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.number_ranges import as_ranges, ranges_from_text, ranges_to_text
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import GapCause
from edgesdk_testkit.collector_model import Collector, Device, report

ACTIONS = st.one_of(
    st.tuples(st.sampled_from(list(ReportKind)), st.integers(1, 70)),
    st.tuples(st.just("wait"), st.floats(0.05, 5.0)),
    st.tuples(st.just("send"), st.integers(1, 40)),
    st.tuples(st.just("send_unheard"), st.integers(1, 10)),
    st.sampled_from(
        [("ack", 0), ("want", 0), ("reconnect", 0), ("refuse", 0), ("restart", 0), ("kill", 0), ("power", 0)]
    ),
)


class Books:
    """What the test knows beside the device and the collector."""

    def __init__(self, folder: str, room: int, *, selective: bool) -> None:
        self.device = Device(Path(folder), OutboxSettings(max_bytes=room, reserve=300))
        self.collector = Collector(selective=selective)
        # Number → kind and when it was put, of what was put and not counted as gone by a crash.
        self.put: dict[int, tuple[ReportKind, float]] = {}
        self.powers = 0

    def do(self, action: object, argument: float) -> None:
        device, box = self.device, self.device.box
        if isinstance(action, ReportKind):
            for _ in range(int(argument)):
                self.put[box.put(action, report(action))] = (action, device.now)
            return
        last = box.next_seq - 1
        self.powers += action == "power"
        actions: dict[object, Callable[[], object]] = {
            "wait": lambda: device.wait(argument),
            "send": lambda: device.send(self.collector, int(argument)),
            "send_unheard": lambda: device.send(None, int(argument)),
            "ack": lambda: box.acknowledge(self.collector.ack(box.epoch)),
            "want": lambda: box.acknowledge(self.collector.ack(box.epoch, want=((1, last),) if last else ())),
            "reconnect": box.give_back,
            "refuse": lambda: [box.refuse(message.seq) for message in box.take(1)],
            "restart": device.restart,
            "kill": device.kill,
            "power": lambda: device.kill(power=True),
        }
        actions[action]()

    def check(self) -> None:
        """Every number that was given is somewhere, exactly as the balance says."""
        box = self.device.box
        counts = box.counts()
        settled = sum(sum(c.values()) for c in (counts.delivered, counts.dropped, counts.refused))
        assert sum(counts.put.values()) + sum(counts.restored.values()) == settled + counts.pending + counts.in_flight
        present = self.collector.present(box.epoch)
        for seq in self.put:
            declared = seq in box._ledger.numbers or any(a <= seq <= b for (a, b), _, _ in box._gone)
            assert seq in present or seq in box._kept or declared, seq


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    actions=st.lists(ACTIONS, max_size=30),
    room=st.sampled_from([3000, 20_000, 10 << 20]),
    selective=st.booleans(),
)
def test_produced_is_delivered_and_declared_and_pending(
    actions: list[tuple[object, float]], room: int, selective: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        books = Books(folder, room, selective=selective)
        for action, argument in actions:
            books.do(action, argument)
            books.check()
        device, collector = books.device, books.collector
        device.drain(collector)
        books.check()
        stored = collector.stored.get(device.box.epoch, {})
        missing = Counter(kind.value for seq, (kind, _) in books.put.items() if seq not in stored)
        if not books.powers:
            assert GapCause.CRASH not in collector.causes, "only a power cut loses anything"
        uncounted = collector.causes[GapCause.CRASH] + collector.causes[GapCause.SETTLED]
        assert sum(missing.values()) <= sum(collector.lost.values()) + uncounted
        if not uncounted:
            # What was dropped after it had arrived is declared too, and stored all the same.
            arrived = sum((Counter(_declared_and_stored(books)),), Counter())
            assert missing + arrived == Counter(collector.lost)
        device.box.close()


def _declared_and_stored(books: Books) -> list[str]:
    box = books.device.box
    gone, stored = books.collector.gone.get(box.epoch, ()), books.collector.stored.get(box.epoch, {})
    names = {"tele": "telemetry"}
    return [names.get(m.kind, m.kind) for seq, m in stored.items() if gone and seq in gone]


def test_the_control_that_reuses_numbers_after_a_power_cut_loses_reports(tmp_path: Path) -> None:
    """Without numbers that are set aside in advance, a report after the cut has the number of one before it."""

    def seen_twice(reserve_is_kept: bool) -> bool:
        device, collector = Device(tmp_path / str(reserve_is_kept)), Collector()
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT, "before"))
        device.send(collector)
        if not reserve_is_kept:
            assert device.box._store is not None
            with device.box._store.transaction():
                device.box._store.set_meta({"ceiling": 0})
        device.kill(power=True)
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT, "after"))
        try:
            device.drain(collector)
        except AssertionError as wrong:
            return "two reports" in str(wrong)
        return False

    (tmp_path / "True").mkdir()
    (tmp_path / "False").mkdir()
    assert not seen_twice(True)
    assert seen_twice(False)


def test_a_kill_loses_nothing_and_a_power_cut_at_most_the_sync_interval_of_each_kind(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, OutboxSettings(bulk_sync_interval_s=6.0)), Collector()
    put_at = {}
    kinds = [ReportKind.RESULT] * 40 + [ReportKind.EVENT] + [ReportKind.TELEMETRY] * 90
    for number in range(200):
        kind = kinds[number % len(kinds)]
        put_at[device.box.put(kind, report(kind))] = kind, device.now
        device.wait(0.1)
        if number == 100:
            device.kill()
            assert device.box.pending == 101
    cut_at = device.now
    device.kill(power=True)
    device.drain(collector)
    stored = collector.stored[device.box.epoch]
    lost = {seq: told for seq, told in put_at.items() if seq not in stored}
    assert all(cut_at - at <= device.settings.safe_after_s(kind) for kind, at in lost.values())
    assert lost, "the control: the cut did lose something"
    assert max(cut_at - at for _, at in lost.values()) > device.settings.sync_interval_s, (
        "and not all of it was an event"
    )
    assert all(seq in collector.gone[device.box.epoch] for seq in lost)


def test_numbers_are_not_given_again_after_a_kill_though_no_report_was_ever_written(tmp_path: Path) -> None:
    """A collector that answers at once leaves nothing on the disk that could tell which numbers were used."""
    device, collector = Device(tmp_path), Collector()
    for _ in range(60):
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
        device.send(collector)
        device.box.acknowledge(collector.ack(device.box.epoch))
        device.wait(1.0)
    # A commit that has nothing else to do than to empty the file of recent reports.
    device.box.commit()
    before = device.box.next_seq
    assert device.box._store is not None
    assert device.box._store.highest() == 0, "nothing was ever written"
    device.kill()
    assert device.box.next_seq == before
    device.box.close()


def test_two_agents_on_one_outbox_are_refused(tmp_path: Path) -> None:
    import pytest

    from edgesdk_targets.errors import InputError

    first = Outbox(tmp_path / "outbox.db", "local.cam1")
    with pytest.raises(InputError, match="in use"):
        Outbox(tmp_path / "outbox.db", "local.cam1")
    first.close()
    Outbox(tmp_path / "outbox.db", "local.cam1").close()


@given(numbers=st.sets(st.integers(1, 1 << 40), max_size=60))
def test_the_numbers_of_a_segment_are_read_as_they_were_written(numbers: set[int]) -> None:
    ranges = as_ranges(sorted(numbers))
    assert list(ranges_from_text(ranges_to_text(ranges))) == ranges
