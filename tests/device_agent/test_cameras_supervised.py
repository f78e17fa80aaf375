from __future__ import annotations

from collections.abc import Callable

import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_agent.cameras.opencv import open_stream
from edgesdk_agent.cameras.source_url import SourceUrl
from edgesdk_agent.cameras.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array
from edgesdk_testkit.camera_pictures import grey
from edgesdk_testkit.mjpeg_server import MjpegServer


def stream(port: int, *, live: bool = True, login: str = "", open_timeout_s: float = 10.0) -> Camera:
    url = SourceUrl(f"http://{login}127.0.0.1:{port}/video.mjpg")
    return open_stream(url, live=live, open_timeout_s=open_timeout_s, read_timeout_s=5.0)


class Flaky:
    """A way to open synthetic cameras that get lost after a number of pictures."""

    def __init__(self, *lives: int | None) -> None:
        self.lives = list(lives)
        self.opened = 0

    def __call__(self) -> Camera:
        life = self.lives[self.opened]
        self.opened += 1
        if life is None:
            raise CameraLost("Nothing answers.", hint="Plug it in.")
        return LosingCamera(life)


class LosingCamera(SyntheticCamera):
    def __init__(self, life: int) -> None:
        super().__init__(width=70, height=50)
        self._life = life

    def read(self, out: Array | None) -> Array | None:
        if not self._closed.is_set() and self._next == self._life:
            raise CameraLost("It stopped.")
        return super().read(out)


class TestSupervised(CameraContract):
    live, frames = False, None

    def make(self) -> Camera:
        return SupervisedCamera(lambda: SyntheticCamera(width=70, height=50))

    def reads(self, camera: Camera, count: int) -> list[str]:
        def one() -> str:
            try:
                return "end" if camera.read(None) is None else "picture"
            except FrameLost as lost:
                return lost.cause

        return [one() for _ in range(count)]

    def test_a_lost_camera_is_opened_again_and_the_loss_is_one_gap(self) -> None:
        flaky, waits = Flaky(2, None, None, 3, None), []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            return False

        camera = SupervisedCamera(flaky, attempts=3, wait=wait)
        assert self.reads(camera, 6) == ["picture", "picture", "camera_lost", "picture", "picture", "picture"]
        assert camera.counts.reconnects == 1
        # Doubled each time, and by chance between half and all of it.
        for wait_s, longest in zip(waits, (0.5, 1.0, 2.0), strict=True):
            assert longest / 2 <= wait_s <= longest

    def test_the_budget_is_whole_again_after_a_picture_and_ends_without_one(self) -> None:
        flaky = Flaky(1, None, 1, None, 0, None, None)
        camera = SupervisedCamera(flaky, attempts=2, wait=lambda _: False)
        assert self.reads(camera, 4) == ["picture", "camera_lost", "picture", "camera_lost"]
        # It answers, but delivers nothing: that does not renew the budget.
        with pytest.raises(CameraLost, match="did not come back after 2 attempts") as caught:
            camera.read(None)
        assert caught.value.hint == ""
        assert flaky.opened == 5

    def test_the_first_time_it_must_open(self) -> None:
        with pytest.raises(CameraLost, match="Nothing answers"):
            SupervisedCamera(Flaky(None), attempts=5)

    def test_one_that_need_not_open_is_opened_by_its_reads(self) -> None:
        camera = SupervisedCamera(Flaky(None, None, 3), wait=lambda _: False, must_open=False, description="gate")
        assert camera.absent is not None
        assert (camera.info.width, camera.info.height, camera.info.description) == (0, 0, "gate")
        assert self.reads(camera, 3) == ["camera_lost", "picture", "picture"]
        assert camera.absent is None
        assert camera.info.width == 70
        assert camera.counts.reconnects == 1

    def test_one_that_never_opens_is_given_up(self) -> None:
        camera = SupervisedCamera(Flaky(None, None, None), attempts=2, wait=lambda _: False, must_open=False)
        with pytest.raises(CameraLost, match="did not answer after 2 attempts"):
            camera.read(None)
        camera.close()

    def test_a_close_ends_the_wait(self) -> None:
        closing: list[Callable[[], None]] = []

        def wait(seconds: float) -> bool:
            closing[0]()
            return True

        camera = SupervisedCamera(Flaky(0, 1), wait=wait)
        closing.append(camera.close)
        assert camera.read(None) is None

    def test_a_real_stream_comes_back(self) -> None:
        with MjpegServer(grey) as first:
            camera = SupervisedCamera(lambda: stream(first.port), attempts=50, wait=lambda _: False)
            assert camera.read(None) is not None
            first.stop()
        with MjpegServer(grey, port=first.port):
            answers: list[str] = []
            while answers.count("picture") < 5 or "camera_lost" not in answers:
                answers += self.reads(camera, 1)
        camera.close()
        assert answers.count("camera_lost") == 1
