from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera, read_stamp
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline import Policy
from edgesdk_agent.pipeline.policy import POLICIES
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


@pytest.mark.parametrize("policy", POLICIES)
def test_a_kept_picture_is_the_results_own_until_the_callback_returns(policy: Policy) -> None:
    seen: list[tuple[int, int, int]] = []

    def look(result: FrameResult) -> None:
        assert result.image is not None
        before = read_stamp(result.image)
        threading.Event().wait(0.002)
        seen.append((result.seq, before, read_stamp(result.image)))

    camera = PacedCamera(SyntheticCamera(width=32, height=16, frames=60), 1000)
    with make(camera, Script(), look, policy, keep_image=True) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert seen
    assert all(seq == before == after for seq, before, after in seen)
    assert_accounts(pipeline.stats())


def test_replaced_frames_give_their_kept_pictures_back() -> None:
    script, sink, camera = Script(gated=True), Sink(), ScriptedCamera(20)
    assert script.gate is not None

    def prepared(number: int) -> Callable[[], None]:
        return lambda: wait_until(lambda: number in script.prepared, f"preparing {number}")

    # The model holds frame 0 all the while, and each other frame is prepared and then replaced: pictures that are not
    # given back would soon leave the camera without a cell.
    camera.at.update({n + 1: prepared(n) for n in range(20)})
    with make(camera, script, sink, "freshest", keep_image=True) as pipeline:
        assert script.began.acquire(timeout=PATIENCE_S)
        wait_until(lambda: camera.reads == 21, "the camera's end")
        script.gate.release(100)
        assert pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stats())


def test_pictures_are_not_kept_unless_asked() -> None:
    sink = Sink()
    with make(ScriptedCamera(2), Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [result.image for result in sink.results] == [None, None]


class LendingCamera(ScriptedCamera):
    """A camera that delivers pictures in memory of its own, and notes which."""

    def __init__(self, frames: int) -> None:
        super().__init__(frames)
        self.lends = False
        self.own: list[Array] = []

    def lend_pictures(self) -> None:
        self.lends = True

    def read(self, out: Array | None) -> Array | None:
        assert self.lends
        mine = next((picture for picture in self.own if picture is out), None)
        if mine is None:
            mine = np.empty((16, 32, 3), np.uint8)
            self.own.append(mine)
        return super().read(mine)


@pytest.mark.parametrize("policy", POLICIES)
def test_pictures_that_a_camera_lends_go_through_without_a_copy(policy: Policy) -> None:
    camera, script = LendingCamera(60), Script()
    lent: list[bool] = []

    def look(result: FrameResult) -> None:
        assert result.image is not None
        lent.append(any(np.shares_memory(result.image, picture) for picture in camera.own))
        assert read_stamp(result.image) == result.seq

    with make(camera, script, look, policy, keep_image=True) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert all(lent)
    # One for each picture of the line, and never another.
    assert len(camera.own) <= 8
    assert_accounts(pipeline.stats())
