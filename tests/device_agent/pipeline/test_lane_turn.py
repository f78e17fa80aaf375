"""Whether a free lane waits for its camera's next frame: only where nothing else is there to do."""

from __future__ import annotations

import threading

import numpy as np

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.frame import Frame
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.lane_turn import LaneTurn
from edgesdk_agent.pipeline.model_inputs import ModelInputs
from edgesdk_testkit.slots import Script

PERIOD_S, INFER_S, PREPARE_S = 0.033, 0.060, 0.0003


class Cameras:
    """Two live cameras in step before one model that is slower, at a moment of which the test tells the time."""

    def __init__(self) -> None:
        self.now = 0.0
        lock, names = threading.Lock(), ("door", "gate")
        meters = Meters(names, lambda: self.now)
        self.lines = {
            name: CameraLine(name, SyntheticCamera(width=32, height=16), "freshest", 3, meters[name], lock)
            for name in names
        }
        self.inputs = ModelInputs(Script().slots(4), 1, 2)
        self.turn = LaneTurn(tuple(self.lines.values()), lambda: self.now)
        for line in self.lines.values():
            for number in range(20):
                line.rhythm.captured(number * PERIOD_S)
                line.rhythm.inferred(PREPARE_S, INFER_S)
        # The last frame is nearly a period old, and the next one is due within two milliseconds.
        self.now = 20 * PERIOD_S - 0.002

    def ready(self, name: str) -> CameraLine:
        """Put a prepared input of the last frame before the lane."""
        line, cell = self.lines[name], self.inputs.free.pop()
        cell.line, cell.frame = line, Frame(name, 19, 19 * PERIOD_S, 0.0, np.zeros((16, 32, 3), np.uint8))
        line.inputs.append(cell)
        return line


def test_a_lane_waits_for_the_frame_that_is_due_when_nothing_else_is_there() -> None:
    cameras = Cameras()
    assert cameras.turn.patience_s(cameras.ready("door"), 1) > 0.001


def test_a_lane_does_not_wait_while_another_cameras_input_is_ready() -> None:
    cameras = Cameras()
    line = cameras.ready("door")
    cameras.ready("gate")
    assert cameras.turn.next_line(0, 1) is line
    assert cameras.turn.patience_s(line, 1) == 0.0


def test_an_input_that_comes_while_the_lane_waits_ends_the_wait() -> None:
    cameras = Cameras()
    line = cameras.ready("door")
    assert cameras.turn.patience_s(line, 1) > 0.001
    cameras.ready("gate")
    assert cameras.turn.patience_s(line, 1) == 0.0
