"""The Raspberry Pi camera against a stand-in for Picamera2's interface: not tried on a board."""

from __future__ import annotations

import sys
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.picamera2 import PiCamera
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from typing_extensions import Self

# Lines of the camera's memory are padded.
PADDING = 26


class FakeRequest:
    def __init__(self, array: Array) -> None:
        self.array = array
        self.released = False

    def release(self) -> None:
        self.released = True


class FakeMappedArray:
    def __init__(self, request: FakeRequest, name: str) -> None:
        assert name == "main"
        assert not request.released
        self.array = request.array

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class FakePicamera2:
    fail_at: int | None = None
    requests: list[FakeRequest]

    def __init__(self, number: int) -> None:
        if number > 0:
            raise IndexError("list index out of range")
        self.running = False
        FakePicamera2.requests = []

    def create_video_configuration(self, main: dict[str, Any], controls: dict[str, float]) -> dict[str, Any]:
        assert main["format"] == "RGB888"
        return main

    def configure(self, configuration: dict[str, Any]) -> None:
        width, height = configuration["size"]
        self.memory = np.zeros((height, width + PADDING, 3), np.uint8)

    def start(self) -> None:
        self.running = True

    def capture_request(self) -> FakeRequest:
        assert self.running, "captured after the stop"
        if len(self.requests) == self.fail_at:
            raise RuntimeError("Camera frontend has timed out")
        assert all(request.released for request in self.requests), "a request was not given back"
        self.memory[...] = 1 + len(self.requests) % 200
        self.requests.append(FakeRequest(self.memory))
        return self.requests[-1]

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        assert not self.running


@pytest.fixture(autouse=True)
def _picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("picamera2")
    module.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
    module.MappedArray = FakeMappedArray  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(FakePicamera2, "fail_at", None)


class TestPiCamera(CameraContract):
    live, frames = True, None

    def make(self) -> Camera:
        return PiCamera(width=64, height=48, fps=40)

    def test_a_camera_that_stops_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        camera = self.make()
        monkeypatch.setattr(FakePicamera2, "fail_at", 1)
        assert camera.read(None) is not None
        with pytest.raises(CameraLost, match="stopped: Camera frontend has timed out"):
            camera.read(None)
        camera.close()


def test_an_absent_camera_is_lost() -> None:
    with pytest.raises(CameraLost, match="CSI camera 1 cannot be started") as caught:
        PiCamera(1)
    assert "rpicam-hello" in caught.value.hint


def test_without_picamera2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraLost, match="not installed") as caught:
        PiCamera()
    assert "python3-picamera2" in caught.value.hint
