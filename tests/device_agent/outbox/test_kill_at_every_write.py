"""The agent is killed at any moment: what it had put is kept or was settled, and no number that was seen is given again."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox import recent_file
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.recent_file import RecentFile
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import GapCause
from edgesdk_testkit.collector_model import EPOCH_WALL_S, NODE, Collector, Device, report

SETTINGS = OutboxSettings(reserve=60, bulk_sync_interval_s=2.5)


@dataclass(frozen=True)
class Image:
    """The files at one moment, and what was known then."""

    folder: Path
    put: frozenset[int]
    settled: frozenset[int]
    seen: int


class Camera:
    """Takes an image of the files before each operation on the files of recent reports."""

    def __init__(self, device: Device, folder: Path) -> None:
        self._device, self._folder = device, folder
        self.images: list[Image] = []
        self.put: set[int] = set()
        self.settled: set[int] = set()
        self._before: tuple[Any, ...] = ()

    def take(self) -> None:
        files = {path.name: path.read_bytes() for path in self._device.path.parent.iterdir()}
        now = (frozenset(self.put), frozenset(self.settled), files)
        if now == self._before:
            return
        self._before = now
        folder = self._folder / str(len(self.images))
        shutil.copytree(self._device.path.parent, folder)
        self.images.append(Image(folder, now[0], now[1], max(self.put | self.settled, default=0)))

    def __getattr__(self, name: str) -> Any:
        """Stand for the module `os`, as the files of recent reports use it."""
        real = getattr(os, name)
        if name not in ("write", "ftruncate", "open"):
            return real

        def watched(*arguments: Any) -> Any:
            self.take()
            return real(*arguments)

        return watched


def a_day_in_short(tmp_path: Path, patch: pytest.MonkeyPatch) -> list[Image]:
    """Reports, commits, acknowledgements, one that is refused, and the event that tells it."""
    (tmp_path / "day").mkdir()
    device, collector = Device(tmp_path / "day", SETTINGS), Collector()
    camera = Camera(device, tmp_path / "images")
    (tmp_path / "images").mkdir()
    patch.setattr(recent_file, "os", camera)

    def put(count: int) -> None:
        for _ in range(count):
            camera.put.add(device.box.put(ReportKind.RESULT, report(ReportKind.RESULT)))
            camera.take()

    def arrives() -> None:
        device.send(collector)
        camera.settled |= {seq for a, b in collector.present(device.box.epoch) for seq in range(a, b + 1)}
        device.box.acknowledge(collector.ack(device.box.epoch))

    for turn in range(6):
        put(3)
        if turn == 1:
            device.box.refuse(device.box.take(1)[0].seq)
        if turn in (1, 2, 4):
            arrives()
        device.now += 1.0
        # So young that a collector is waited for, and not the disk.
        put(2)
        device.box.step()
        camera.take()
    # From here on a collector has everything at once: nothing but the mark says which numbers were used.
    for _ in range(3):
        put(2)
        device.now += 3.0
        arrives()
        device.box.commit()
        camera.take()
    assert collector.causes[GapCause.REFUSED] == 1, "a gap was told within it"
    patch.undo()
    device.box.close()
    return camera.images


def faults(images: list[Image]) -> set[str]:
    """Start from each image, as a service does again after a kill."""
    found = set()
    for image in images:
        box = Outbox(image.folder / "outbox.db", NODE, SETTINGS, clock=lambda: 0.0, wall=lambda: EPOCH_WALL_S, boot="1")
        gone = box._ledger.numbers
        if any(gap.cause is GapCause.CRASH for gap in box._ledger.gaps):
            found.add("taken for a cut of the power")
        if any(seq not in box._kept and seq not in image.settled and seq not in gone for seq in image.put):
            found.add("lost, and not declared")
        if box.next_seq <= image.seen:
            found.add("a number is given twice")
        box._store.close()  # type: ignore[union-attr]
        box._recent.close()
    return found


def test_a_kill_at_any_operation_loses_nothing_and_gives_no_number_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = a_day_in_short(tmp_path, monkeypatch)
    assert len(images) > 30
    assert faults(images) == set()


def test_the_control_that_empties_the_file_before_it_writes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecentFile, "_take_turns", lambda *_: False)
    assert {"lost, and not declared", "taken for a cut of the power"} <= faults(a_day_in_short(tmp_path, monkeypatch))


def test_what_is_younger_than_the_event_that_tells_a_gap_survives_a_kill(tmp_path: Path) -> None:
    """That event has the highest number, and is on the disk before those that were put ahead of it."""
    device, collector = Device(tmp_path), Collector()
    for _ in range(3):
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    device.wait(1.0)
    device.box.refuse(device.box.take(1)[0].seq)
    device.send(collector)
    device.wait(1.0)
    device.box.acknowledge(collector.ack(device.box.epoch))
    device.now += 1.0
    young = [device.box.put(ReportKind.RESULT, report(ReportKind.RESULT)) for _ in range(2)]
    device.box.step()
    told = device.box._ledger.tellers
    assert told
    assert min(told) > max(young), "the control: the event is above the young"
    device.kill()
    assert set(young) <= {seq for a, b in device.box._kept for seq in range(a, b + 1)}
    device.box.close()


def test_without_a_mark_the_numbers_that_were_set_aside_count_as_used(tmp_path: Path) -> None:
    device, collector = Device(tmp_path, SETTINGS), Collector()
    for _ in range(20):
        device.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    device.send(collector)
    device.box.acknowledge(collector.ack(device.box.epoch))
    for file in device.path.parent.glob("*.recent"):
        os.truncate(file, 0)
    device.kill()
    assert device.box.next_seq > 20
    device.box.close()
