"""A bit turns over within a stored value, or our own code fails: as little as possible is lost, and that is told."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.commit import Commit
from edgesdk_agent.outbox.database import Database
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import DEFLATED, Encoded, GapCause
from edgesdk_testkit.collector_model import Collector, Device, report

TELEMETRY, RESULT = ReportKind.TELEMETRY, ReportKind.RESULT
SINGLE = OutboxSettings(bulk_sync_interval_s=1.0)


def deflated(epoch: str, seq: int) -> Encoded:
    return Encoded(zlib.compress(report(TELEMETRY)(epoch, seq).payload), DEFLATED)


def spoil(device: Device, table: str, where: str) -> None:
    """Turn one bit over in the middle of a stored body."""
    db = device.box._store._db  # type: ignore[union-attr]
    body = bytearray(db.execute(f"SELECT body FROM {table} WHERE {where}").fetchone()[0])
    body[len(body) // 2] ^= 0x10
    db.execute(f"UPDATE {table} SET body = ? WHERE {where}", (bytes(body),))


@pytest.mark.parametrize("by_collector", [True, False], ids=["packed", "singly"])
@pytest.mark.parametrize("kind", [TELEMETRY, RESULT], ids=["deflated", "plain"])
def test_a_spoilt_row_is_dropped_alone_and_declared(tmp_path: Path, kind: ReportKind, by_collector: bool) -> None:
    settings = OutboxSettings(bulk_sync_interval_s=1.0, by_collector=by_collector)
    device, collector = Device(tmp_path, settings), Collector()
    build = deflated if kind is TELEMETRY else report(RESULT)
    for _ in range(5):
        device.box.put(kind, build)
    device.box.commit()
    spoil(device, "rows", "seq = 2")
    device.now += 60.0
    for _ in range(10):
        device.box.put(kind, build)
    device.now += 60.0
    device.box.step()
    device.drain(collector)
    epoch = device.box.epoch
    assert {seq for seq, m in collector.stored[epoch].items() if getattr(m, "name", "") != "gap"} == {
        1,
        *range(3, 16),
    }
    assert dict(collector.causes) == {GapCause.DAMAGED: 1}
    assert device.box.counts().dropped[kind.value] == 1
    assert not device.path.with_name("outbox.db.damaged").exists(), "the others were not given up for it"
    device.box.close()


def test_a_spoilt_segment_is_dropped_alone_and_declared(tmp_path: Path) -> None:
    device, collector = Device(tmp_path), Collector()
    for _ in range(300):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    spoil(device, "bodies", "id = (SELECT MIN(id) FROM segments)")
    device.drain(collector)
    stored = [m for m in collector.stored[device.box.epoch].values() if m.kind == "result"]
    assert 0 < collector.causes[GapCause.DAMAGED] <= 90
    assert len(stored) + collector.causes[GapCause.DAMAGED] == 300
    device.box.close()


def test_an_outbox_from_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, SINGLE), Collector()
    for _ in range(5):
        device.box.put(TELEMETRY, deflated)
    device.box.close()
    db = sqlite3.connect(device.path)
    for table in ("rows", "bodies"):
        db.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    device.box = device._open()
    assert device.box.pending == 5
    spoil(device, "rows", "seq = 4")
    device.now += 60.0
    device.drain(collector)
    assert {1, 2, 3, 5} <= set(collector.stored[device.box.epoch])
    assert collector.causes[GapCause.DAMAGED] == 1
    device.box.close()


def test_a_fault_of_ours_costs_neither_the_database_nor_what_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, collector = Device(tmp_path, SINGLE), Collector()
    for _ in range(50):
        device.box.put(RESULT, report(RESULT))
    device.box.commit()
    device.wait(60.0)
    collector.read(device.box.take(1)[0])
    device.box.acknowledge(collector.ack(device.box.epoch).model_copy(update={"upto": 10}))
    left = device.box.pending
    assert left == 40
    device.box.put(RESULT, report(RESULT))
    for fault in (KeyError("a fault"), ValueError("a fault"), sqlite3.ProgrammingError("a fault")):

        def fails(*_: object, fault: Exception = fault) -> None:
            raise fault

        with monkeypatch.context() as patch:
            patch.setattr(Commit, "_expire", fails)
            with pytest.raises(type(fault), match="a fault"):
                device.box.commit()
        assert (device.box.pending, device.box._writing) == (left + 1, frozenset())
    assert device.box.commit()
    assert not device.path.with_name("outbox.db.damaged").exists()
    device.drain(collector)
    assert len(collector.stored[device.box.epoch]) == 51
    assert device.box.counts().delivered["result"] == 51
    device.box.close()


def test_a_live_report_does_not_wait_for_the_backlogs_disk(tmp_path: Path) -> None:
    device, woken = Device(tmp_path), list[int]()
    for _ in range(200):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    device.box.listen(lambda: woken.append(1))
    with device.box._disk:
        # A commit syncs meanwhile; whoever waited for it here would wait for ever.
        while device.box.take(1):
            pass
        seq = device.box.put(RESULT, report(RESULT))
        assert [message.seq for message in device.box.take(1)] == [seq]
    woken.clear()
    device.wait(0.01)
    assert woken, "and the link is called when the disk is free"
    assert device.box.take(1)[0].segment
    device.box.close()


def test_the_earlier_outbox_may_be_gone_while_another_thread_looks(tmp_path: Path) -> None:
    """The keeper's thread forgets it between any two lines of the link's."""
    device = Device(tmp_path)
    box = device.box

    class Gone:
        """Gone at the second look."""

        box = Device(_folder(tmp_path / "other")).box
        owns = staticmethod(lambda _seq: False)
        take = staticmethod(lambda _count: ())

    class Forgotten(type(box)):  # type: ignore[misc]
        looks = 0

        @property
        def _earlier(self) -> object:
            self.looks += 1
            return Gone if self.looks % 2 else None

        @_earlier.setter
        def _earlier(self, _value: object) -> None:
            pass

    box.__dict__.pop("_earlier")
    box.__class__ = Forgotten
    ack = Collector().ack(box.epoch)
    calls = [
        lambda: box.take(1),
        lambda: box.done(1),
        lambda: box.refuse(1),
        box.give_back,
        lambda: box.acknowledge(ack),
        box.due_in_s,
        lambda: box.pending,
        box.counts,
        box.figures,
        lambda: box.on_trouble(lambda *_: None),
        lambda: box.wait_empty(0.0),
    ]
    for call in calls:
        box.looks = 0
        call()
        assert box.looks == 1
    Gone.box.close()
    box.looks = 1
    box.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_stored_value_that_makes_no_sense_is_damage(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.box.close()
    for key, value in (("ceiling", "many"), ("written_upto", "x"), ("day_sent", "no number")):
        db = Database(device.path)
        with db.transaction():
            db.set_meta({key: value})
        db.close()
        device.box = device._open()
        assert device.box._trouble is not None
        assert device.box._trouble[0] == "outbox_damaged"
        device.box.close()
