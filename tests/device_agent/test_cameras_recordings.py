from __future__ import annotations

import logging
from pathlib import Path

import cv2
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera, FrameLost, counts_of
from edgesdk_agent.cameras.folder import FolderCamera
from edgesdk_agent.cameras.opencv_sources import open_video_file
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_testkit.camera_pictures import FRAMES, WIDTH, grey, number_of, numbers, write_video


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
        camera = open_video_file(path)
        found = numbers(camera)
    assert 0 < len(found) < 54
    assert "of 60 frames" in caplog.text
    assert counts_of(camera).missing == 60 - len(found)


def test_of_a_whole_file_nothing_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    camera = open_video_file(write_video(tmp_path / "a.avi", frames=60))
    assert len(numbers(camera)) == 60
    assert counts_of(camera).missing == 0
    assert caplog.text == ""
