from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import cv2
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.opencv import OpenCvCamera
from edgesdk_agent.cameras.opencv_sources import open_stream
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_targets.tensor import Array
from edgesdk_testkit.camera_pictures import FRAMES, grey, number_of, numbers
from edgesdk_testkit.mjpeg_server import MjpegServer


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey) as server:
        yield server


def stream(port: int, *, live: bool = True, login: str = "", open_timeout_s: float = 10.0) -> Camera:
    url = SecretUrl(f"http://{login}127.0.0.1:{port}/video.mjpg")
    return open_stream(url, live=live, open_timeout_s=open_timeout_s, read_timeout_s=5.0)


class TestHttpMjpeg(CameraContract):
    live, frames = True, None

    @pytest.fixture(autouse=True)
    def _server(self, server: MjpegServer) -> None:
        self.server = server

    def make(self) -> Camera:
        return stream(self.server.port)

    def test_pictures_come_in_order_and_none_is_missing(self) -> None:
        camera = self.make()
        found = [number_of(p) for p in (camera.read(None) for _ in range(30)) if p is not None]
        camera.close()
        assert all((a + 1) % 12 == b for a, b in pairwise(found))

    def test_a_camera_that_goes_away_is_lost(self) -> None:
        camera = self.make()
        assert camera.read(None) is not None
        self.server.stop()
        with pytest.raises(CameraLost, match="stopped delivering"):
            numbers(camera)
        camera.close()


class TestStreamedRecording(CameraContract):
    live, frames = False, FRAMES

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with MjpegServer(grey, frames=FRAMES) as self.server:
            yield

    def make(self) -> Camera:
        return stream(self.server.port, live=False)

    def test_every_frame_comes_in_order(self) -> None:
        assert numbers(self.make()) == list(range(FRAMES))


def test_a_password_opens_a_camera_and_is_never_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with MjpegServer(grey, credentials="admin:hunter2") as server:
        camera = stream(server.port, login="admin:hunter2@")
        assert camera.read(None) is not None
        assert "hunter2" not in camera.info.description + repr(camera) + str(camera.info)
        camera.close()
        with pytest.raises(CameraLost) as refused:
            stream(server.port, login="admin:wrongpass@")
    assert "wrongpass" not in f"{refused.value}{refused.value!r}"
    assert "user and password" in refused.value.hint
    printed = capfd.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert "wrongpass" not in printed.out + printed.err


def test_nothing_that_answers_is_a_lost_camera(server: MjpegServer) -> None:
    server.stop()
    with pytest.raises(CameraLost, match=r"http://127\.0\.0\.1:\d+/video\.mjpg does not deliver"):
        stream(server.port)


class CaptureClosedWhileReading:
    """A `cv2.VideoCapture` during whose read somebody closes the camera."""

    def __init__(self) -> None:
        self.camera: Camera | None = None
        self.released = 0

    def get(self, _: int) -> float:
        return 0.0

    def grab(self) -> bool:
        assert not self.released, "read after the release"
        if self.camera is not None:
            self.camera.close()
            assert not self.released, "released under a read, which crashes in OpenCV"
        return True

    def retrieve(self, out: Array | None) -> tuple[bool, Array | None]:
        assert not self.released, "read after the release"
        return True, grey(0)

    def release(self) -> None:
        self.released += 1


def test_a_capture_is_released_after_the_read_that_a_close_met() -> None:
    capture = CaptureClosedWhileReading()
    camera = OpenCvCamera(lambda: cast("cv2.VideoCapture", capture), description="stub", live=True)
    assert camera.read(None) is not None
    capture.camera = camera
    camera.read(None)
    assert capture.released == 1
    assert camera.read(None) is None
