from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_agent.cameras.folder import FolderCamera
from edgesdk_agent.cameras.opencv import OpenCvCamera, open_stream, open_video_file
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.source_url import SourceUrl
from edgesdk_agent.cameras.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera, read_stamp
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.mjpeg_server import MjpegServer

WIDTH, HEIGHT, FRAMES = 96, 64, 12


def grey(number: int) -> Array:
    """Return a picture whose number survives a lossy codec."""
    return np.full((HEIGHT, WIDTH, 3), 10 + 20 * (number % 12), np.uint8)


def number_of(picture: Array) -> int:
    return round((float(picture.mean()) - 10) / 20)


def write_video(path: Path, codec: str = "MJPG", frames: int = FRAMES, fps: float = 25.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(grey(number))
    writer.release()
    return path


def numbers(camera: Camera) -> list[int]:
    found = []
    while (picture := camera.read(None)) is not None:
        found.append(number_of(picture))
    return found


class TestVideoFile(CameraContract):
    live, frames = False, FRAMES

    @pytest.fixture(autouse=True, params=[("a.avi", "MJPG"), ("a.mp4", "mp4v")], ids=["mjpeg", "mpeg4"])
    def _video(self, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        name, codec = request.param
        self.path = write_video(tmp_path / name, codec)

    def make(self) -> Camera:
        return open_video_file(self.path)

    def test_every_frame_comes_in_order(self) -> None:
        assert numbers(self.make()) == list(range(FRAMES))

    def test_a_loop_begins_again(self) -> None:
        camera = open_video_file(self.path, loop=True)
        found = [number_of(p) for p in (camera.read(None) for _ in range(2 * FRAMES + 3)) if p is not None]
        camera.close()
        assert found == [*range(FRAMES), *range(FRAMES), 0, 1, 2]

    def test_its_rate_is_the_files(self) -> None:
        assert self.make().info.fps == pytest.approx(25.0)

    def test_a_file_that_vanishes_between_two_rounds_is_a_lost_camera(self) -> None:
        camera = open_video_file(self.path, loop=True)
        self.path.unlink()
        with pytest.raises(CameraLost, match="There is no file"):
            numbers(camera)


class TestLoopedVideo(CameraContract):
    live, frames = False, None

    @pytest.fixture(autouse=True)
    def _video(self, tmp_path: Path) -> None:
        self.path = write_video(tmp_path / "a.avi")

    def make(self) -> Camera:
        return open_video_file(self.path, loop=True)


class TestFolder(CameraContract):
    live, frames = False, 5

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "pictures"
        self.path.mkdir()
        for number in range(5):
            cv2.imwrite(str(self.path / f"{number}.png"), grey(number))
        (self.path / "notes.txt").write_text("not a picture")

    def make(self) -> Camera:
        return FolderCamera(self.path)

    def test_pictures_come_by_name(self) -> None:
        assert numbers(self.make()) == [0, 1, 2, 3, 4]

    def test_a_loop_begins_again(self) -> None:
        camera = FolderCamera(self.path, loop=True)
        found = [number_of(p) for p in (camera.read(None) for _ in range(7)) if p is not None]
        assert found == [0, 1, 2, 3, 4, 0, 1]

    def test_one_picture_is_a_source_too(self) -> None:
        assert numbers(FolderCamera(self.path / "3.png")) == [3]

    def test_a_broken_picture_is_one_lost_frame(self) -> None:
        (self.path / "2.png").write_bytes(b"torn")
        camera = self.make()
        assert [number_of(p) for p in (camera.read(None), camera.read(None)) if p is not None] == [0, 1]
        with pytest.raises(FrameLost) as caught:
            camera.read(None)
        assert caught.value.cause == "unreadable"
        assert "2.png" in caught.value.message
        assert numbers(camera) == [3, 4]

    def test_a_broken_first_picture_does_not_keep_it_from_opening(self) -> None:
        (self.path / "0.png").write_bytes(b"torn")
        assert self.make().info.width == WIDTH

    def test_a_folder_that_is_gone_is_a_lost_camera(self) -> None:
        camera = self.make()
        for file in self.path.iterdir():
            file.unlink()
        self.path.rmdir()
        with pytest.raises(CameraLost, match="is gone"):
            camera.read(None)

    def test_a_folder_without_pictures_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="no pictures in"):
            FolderCamera(tmp_path / "empty")

    def test_a_folder_of_broken_pictures_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "a.png").write_bytes(b"torn")
        with pytest.raises(InputError, match="Not one picture"):
            FolderCamera(tmp_path / "bad")

    def test_a_path_that_is_no_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            FolderCamera(tmp_path / "nothing")


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


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey) as server:
        yield server


def stream(port: int, *, live: bool = True, login: str = "", open_timeout_s: float = 10.0) -> Camera:
    url = SourceUrl(f"http://{login}127.0.0.1:{port}/video.mjpg")
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


@pytest.mark.parametrize("content", [b"", b"this is no video", b"\x00" * 4096])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no video that can be decoded"):
        open_video_file(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        open_video_file(tmp_path / "a.mp4")


def test_a_file_cut_short_ends_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.avi", frames=60)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        found = numbers(open_video_file(path))
    assert 0 < len(found) < 54
    assert "of 60 frames" in caplog.text


class CaptureClosedWhileReading:
    """A `cv2.VideoCapture` during whose read somebody closes the camera."""

    def __init__(self) -> None:
        self.camera: Camera | None = None
        self.released = 0

    def get(self, _: int) -> float:
        return 0.0

    def read(self, out: Array | None) -> tuple[bool, Array | None]:
        assert not self.released, "read after the release"
        if self.camera is not None:
            self.camera.close()
            assert not self.released, "released under a read, which crashes in OpenCV"
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
        assert camera.reconnects == 1
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
