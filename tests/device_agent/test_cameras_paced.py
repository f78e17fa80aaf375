from __future__ import annotations

import numpy as np
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera, read_stamp
from edgesdk_targets.errors import InputError


class TestSynthetic(CameraContract):
    live, frames = False, 9

    def make(self) -> Camera:
        return SyntheticCamera(width=70, height=50, frames=9, seed=3)

    def test_pictures_are_a_function_of_seed_and_number(self) -> None:
        one, two, other = self.make(), self.make(), SyntheticCamera(width=70, height=50, seed=4)
        for number in range(5):
            picture, again, different = one.read(None), two.read(None), other.read(None)
            assert picture is not None
            assert again is not None
            assert different is not None
            np.testing.assert_array_equal(picture, again)
            assert (picture != different).any()
            assert read_stamp(picture) == number

    @pytest.mark.parametrize("wrong", [{"width": 1}, {"height": 0}, {"frames": 0}, {"seed": -1}])
    def test_wrong_options_are_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(InputError):
            SyntheticCamera(**wrong)


class TestPaced(CameraContract):
    live, frames = True, 9

    def make(self) -> Camera:
        return PacedCamera(SyntheticCamera(width=70, height=50, frames=9), 200)

    def test_each_picture_waits_for_its_time(self) -> None:
        now, waits = [50.0], []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            now[0] += seconds
            return False

        camera = PacedCamera(SyntheticCamera(frames=4), 10, clock=lambda: now[0], wait=wait)
        camera.read(None)
        camera.read(None)
        # A reader that comes late gets what it missed at once, and then keeps the old time again.
        now[0] += 0.15
        camera.read(None)
        camera.read(None)
        assert waits == pytest.approx([0.1, 0.05])

    @pytest.mark.parametrize("fps", [0.0, -1.0, 2000.0, float("nan")])
    def test_a_rate_that_cannot_be_is_refused(self, fps: float) -> None:
        with pytest.raises(InputError):
            PacedCamera(SyntheticCamera(), fps)
