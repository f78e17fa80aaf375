"""Cameras whose pictures are asked about first get slots in the order of their answers, and only who may go is woken."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.handover_parts import HandoverParts
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


class Asked:
    """A hand-over of cameras that are asked about first, and of one slot."""

    def __init__(self, *names: str) -> None:
        lock, meters = threading.Lock(), Meters(names, time.monotonic)
        self.lines = [
            CameraLine(name, SyntheticCamera(width=32, height=16), "every_frame", 1, meters[name], lock)
            for name in names
        ]
        self.handover = Handover(
            HandoverParts(self.lines, Script().slots(1), 1, lock, time.monotonic, others_may_prepare=False)
        )
        self.handover.ask_first()
        self.served: list[str] = []

    def slot_for(self, line: CameraLine) -> InputCell:
        cell = self.handover.room_for_asked(line, line.free.pop())
        assert cell is not None
        self.served.append(line.name)
        return cell

    def serve(self, line: CameraLine) -> None:
        self.handover.not_prepared(self.slot_for(line))

    def waiting(self, line: CameraLine) -> threading.Thread:
        """Return a thread of this camera's that waits for a slot, and gives it back."""
        thread = threading.Thread(target=self.serve, args=(line,), name=line.name, daemon=True)
        thread.start()
        wait_until(lambda: self.waits(line), "the camera's waiting")
        return thread

    def waits(self, line: CameraLine) -> bool:
        return self.handover._turns._bells[line].is_waited_for


def test_a_camera_that_has_just_been_served_does_not_pass_one_that_waits() -> None:
    asked = Asked("door", "gate")
    door, gate = asked.lines
    rounds = 5
    for _ in range(rounds):
        cell = asked.slot_for(door)
        waiting = asked.waiting(gate)
        asked.handover.not_prepared(cell)
        asked.serve(door)
        waiting.join(PATIENCE_S)
    assert asked.served == ["door", "gate", "door"] * rounds


def test_only_the_camera_whose_turn_it_is_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: Counter[str] = Counter()
    wait = Bell.wait

    def counted(bell: Bell, timeout_s: float | None = None) -> None:
        slept[threading.current_thread().name] += 1
        wait(bell, timeout_s)

    monkeypatch.setattr(Bell, "wait", counted)
    names = ["door", "gate", "yard", "roof", "hall"]
    asked = Asked(*names)
    cell = asked.slot_for(asked.lines[0])
    threads = [asked.waiting(line) for line in asked.lines[1:]]
    asked.handover.not_prepared(cell)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert asked.served == names
    assert slept == Counter(names[1:]), "each slept once, until it was its turn"


def test_who_is_woken_for_what_is_gone_passes_it_on() -> None:
    """The first one may lose what it was woken for; the next, which has room, must not sleep on."""
    asked = Asked("door", "gate")
    door, gate = asked.lines
    turns, room = asked.handover._turns, {door: False, gate: False}
    turns._has_room = room.__getitem__
    threads = [asked.waiting(line) for line in asked.lines]
    with asked.handover._lock:
        room[door] = True
        asked.handover._preparers.wake_one()
        room.update({door: False, gate: True})
    threads[1].join(PATIENCE_S)
    assert (asked.served, asked.waits(door)) == (["gate"], True)
    with asked.handover._lock:
        room[door] = True
        asked.handover._preparers.wake_one()
    threads[0].join(PATIENCE_S)
    assert asked.served == ["gate", "door"]


def test_an_end_wakes_all() -> None:
    asked = Asked("door", "gate", "yard")
    asked.slot_for(asked.lines[0])
    ended: list[object] = []
    threads = [
        threading.Thread(target=lambda line=line: ended.append(asked.handover.room_for_asked(line, line.free.pop())))
        for line in asked.lines[1:]
    ]
    for thread, line in zip(threads, asked.lines[1:], strict=True):
        thread.start()
        wait_until(lambda line=line: asked.waits(line), "the camera's waiting")  # type: ignore[misc]
    asked.handover.abort()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert ended == [None, None]
