"""A disk that is really full, or not there yet: nothing stops, nothing that was kept is forgotten, no number is given twice."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.earlier_file import earlier_path
from edgesdk_agent.outbox.recent_file import remove_recent
from edgesdk_agent.outbox.room import Room
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_agent.outbox.store import Store
from edgesdk_testkit.collector_model import Collector, Device, report
from edgesdk_testkit.small_disk import fill, small_disk

SETTINGS = OutboxSettings(reserve=60, bulk_sync_interval_s=2.0)


@pytest.fixture(name="small_disk")
def disk_of_a_megabyte(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "1m") as disk:
        yield disk


def put(device: Device, count: int, kind: ReportKind = ReportKind.RESULT) -> None:
    for _ in range(count):
        device.box.put(kind, report(kind))
        device.wait(0.5)


def dies(device: Device) -> None:
    """The process is gone; the disk stays as it is."""
    store = device.box._store
    if store is not None:
        store.close()
    device.box._recent.close()


def everything_arrives(device: Device, collector: Collector, epochs: dict[str, int]) -> None:
    for _ in range(200):
        device.send(collector)
        for epoch in list(collector.stored):
            device.box.acknowledge(collector.ack(epoch, want=collector.missing(epoch)))
        device.wait(1.0)
        if not device.box.pending and device.box.empty:
            break
    for epoch, count in epochs.items():
        stored = [m for m in collector.stored.get(epoch, {}).values() if getattr(m, "name", "") != "gap"]
        assert len(stored) == count, epoch
    counts = device.box.counts()
    assert (counts.pending, counts.in_flight) == (0, 0)


def test_a_disk_that_is_full_at_the_first_start_is_used_as_soon_as_it_has_room(small_disk: Path) -> None:
    filler = fill(small_disk)
    device, collector = Device(small_disk, SETTINGS), Collector()
    told: list[str] = []
    device.box.on_trouble(lambda code, _message: told.append(code))
    put(device, 30)
    assert (told, device.box.figures()["on_disk"]) == (["outbox_unavailable"], 0)
    epoch = device.box.epoch
    assert len(device.send(collector, 5)) == 5, "reports are sent all the same"
    filler.unlink()
    device.wait(11.0)
    assert device.box.figures()["on_disk"] == 1
    put(device, 5)
    # From here on it is as safe as any: a kill loses nothing, and the epoch goes on.
    dies(device)
    device.box = device._open()
    assert (device.box.epoch, device.box.pending) == (epoch, 35)
    everything_arrives(device, collector, {epoch: 35})
    device.box.close()


def test_what_waits_on_a_disk_that_is_full_at_the_start_is_sent_at_once(small_disk: Path) -> None:
    """Some of the disk was kept in hand for this moment."""
    device, collector = Device(small_disk, SETTINGS), Collector()
    put(device, 100)
    dies(device)
    fill(small_disk)
    device.box = device._open()
    assert device.box.figures()["on_disk"] == 1
    assert device.box.pending == 100
    put(device, 20)
    # What cannot be deleted on a full disk is kept, and settled when there is room.
    epoch = device.box.epoch
    (small_disk / "filler").unlink()
    everything_arrives(device, collector, {epoch: 120})
    device.box.close()


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed beside it"])
def test_two_epochs_are_sent_where_the_old_one_could_not_be_read_at_the_start(small_disk: Path, killed: bool) -> None:
    device, collector = Device(small_disk, SETTINGS), Collector()
    put(device, 100)
    old = device.box.epoch
    dies(device)
    Room(device.path.with_name("outbox.db.room")).give()
    filler = fill(small_disk)
    device.box = device._open()
    new = device.box.epoch
    assert new != old
    put(device, 20)
    assert len(device.send(collector, 3)) == 3
    filler.unlink()
    device.wait(11.0)
    assert device.box.figures()["on_disk"] == 1
    assert earlier_path(device.path).exists()
    assert device.box.pending == 120
    if killed:
        device.box._earlier.box._store.close()  # type: ignore[union-attr]
        dies(device)
        device.box = device._open()
        assert (device.box.epoch, device.box.pending) == (new, 120)
    everything_arrives(device, collector, {old: 100, new: 20})
    assert not collector.gone
    assert not earlier_path(device.path).exists()
    left = {file.name for file in device.path.parent.iterdir()}
    assert left == {"outbox.db", "outbox.db-wal", "outbox.db.recent", "outbox.db.next.recent", "outbox.db.room"}
    device.box.close()


def test_an_agent_on_a_full_disk_does_not_run_out_of_numbers(small_disk: Path) -> None:
    device, collector = Device(small_disk, SETTINGS), Collector()
    put(device, 10)
    filler = fill(small_disk)
    for _ in range(5 * SETTINGS.reserve):
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
        device.send(collector)
        device.box.acknowledge(collector.ack(device.box.epoch))
        device.wait(0.5)
    epoch, last = device.box.epoch, device.box.next_seq - 1
    assert last in collector.stored[epoch], "the newest was sent"
    # The power is cut on the full disk, and comes back: what was sent has numbers that are not given again.
    dies(device)
    remove_recent(device.path.with_name("outbox.db.recent"))
    filler.unlink()
    device.boot += 1
    device.box = device._open()
    assert (device.box.epoch, device.box.next_seq > last) == (epoch, True)
    device.box.close()


def test_what_a_failed_commit_was_to_note_is_noted_by_the_next(tmp_path: Path) -> None:
    """A number that is thought to be on the disk and is not would be given twice after a cut of the power."""

    class DiskFull(Exception):
        pass

    def noted(path: Path) -> str:
        store = Store(path)
        with contextlib.suppress(DiskFull), store.transaction():
            store.set_meta({"ceiling": 999})
            raise DiskFull
        with store.transaction():
            store.set_meta({"ceiling": 999})
        store.close()
        again = Store(path)
        again.close()
        return again.meta.get("ceiling", "")

    assert noted(tmp_path / "outbox.db") == "999"


def test_after_a_full_disk_a_kill_loses_nothing_though_no_commit_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a collector has everything there is nothing to commit, and recent reports need their file all the same."""
    device, collector = Device(tmp_path), Collector()

    def told() -> None:
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
        device.send(collector)
        device.box.acknowledge(collector.ack(device.box.epoch))
        device.wait(0.2)

    told()
    with monkeypatch.context() as full:
        full.setattr(os, "write", _no_space)
        told()
    assert not device.box._recent.usable
    committed_at = device.box._committed_at
    device.wait(1.5)
    assert device.box._committed_at == committed_at
    device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    device.kill()
    device.drain(collector)
    assert len(collector.stored[device.box.epoch]) == 3
    assert not collector.causes
    device.box.close()


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")
