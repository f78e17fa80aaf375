"""Cameras whose pictures are asked about first get the model's slots in the order in which they had their answers."""

from __future__ import annotations

import threading
import time

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


def test_a_camera_that_has_just_been_served_does_not_pass_one_that_waits() -> None:
    lock, names = threading.Lock(), ("door", "gate")
    meters = Meters(names, time.monotonic)
    door, gate = (
        CameraLine(name, SyntheticCamera(width=32, height=16), "every_frame", 1, meters[name], lock) for name in names
    )
    handover = Handover(
        (door, gate),
        Script().slots(1),
        1,
        keep_image=False,
        clock=time.monotonic,
        lock=lock,
        others_may_prepare=False,
    )
    handover.ask_first()
    served: list[str] = []

    def slot_for(line: CameraLine) -> InputCell:
        cell = handover.room_for_asked(line, line.free.pop())
        assert cell is not None
        served.append(line.name)
        return cell

    rounds = 5
    for _ in range(rounds):
        cell = slot_for(door)
        waiting = threading.Thread(target=lambda: handover.not_prepared(slot_for(gate)))
        waiting.start()
        wait_until(lambda: handover._preparable.is_waited_for, "the other camera's waiting")
        handover.not_prepared(cell)
        handover.not_prepared(slot_for(door))
        waiting.join(PATIENCE_S)
    assert served == ["door", "gate", "door"] * rounds
