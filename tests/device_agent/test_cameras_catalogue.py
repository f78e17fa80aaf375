from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.conveyor import ConveyorCamera
from edgesdk_agent.cameras.folder import FolderCamera
from edgesdk_agent.cameras.opencv import OpenCvCamera
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.source_forms import SOURCE_FORMS
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_targets.errors import CameraLost, EdgeError, InputError
from edgesdk_testkit.mjpeg_server import MjpegServer

GREY = np.full((48, 64, 3), 90, np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for _ in range(4):
        writer.write(GREY)
    writer.release()
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), GREY)
    return folder


def count(camera: Camera) -> int:
    found = 0
    while camera.read(None) is not None:
        found += 1
    camera.close()
    return found


def test_files_and_folders(video: Path, pictures: Path) -> None:
    assert isinstance(open_camera(str(video)), OpenCvCamera)
    assert isinstance(open_camera(f"file://{video}"), OpenCvCamera)
    assert isinstance(open_camera(f"file:{video}"), OpenCvCamera)
    for source in (str(pictures), f"folder:{pictures}", str(pictures / "a.png")):
        assert isinstance(open_camera(source), FolderCamera)
    assert count(open_camera(str(video))) == 4


def test_a_recording_played_live_keeps_its_own_rate_or_the_one_asked_for(video: Path, pictures: Path) -> None:
    for source, options, fps in (
        (video, {"live": True}, 20.0),
        (video, {"fps": 50.0}, 50.0),
        (pictures, {"live": True}, 30.0),
        (pictures, {"fps": 5.0}, 5.0),
    ):
        camera = open_camera(str(source), **options)
        assert isinstance(camera, PacedCamera)
        assert (camera.info.live, camera.info.fps) == (True, fps)
        camera.close()
    assert not open_camera(str(video), fps=50.0, live=False).info.live


def test_synthetic_sources_take_their_options_from_the_text() -> None:
    camera = open_camera("synthetic:?width=80&height=60&frames=5&seed=2")
    assert isinstance(camera, SyntheticCamera)
    assert (camera.info.width, camera.info.height, camera.info.live) == (80, 60, False)
    assert count(camera) == 5
    live = open_camera("synthetic:?fps=200&frames=3")
    assert live.info.live
    assert count(live) == 3
    assert count(open_camera("synthetic:", frames=2)) == 2


@pytest.mark.parametrize("form", ["conveyor:", "synthetic:conveyor"])
def test_the_conveyor_logs_its_truth(form: str, tmp_path: Path) -> None:
    truth = tmp_path / "truth file.jsonl"
    camera = open_camera(f"{form}?seed=1&frames=4&live=0&truth={tmp_path}/truth%20file.jsonl")
    assert isinstance(camera, ConveyorCamera)
    assert count(camera) == 4
    assert [json.loads(line)["seq"] for line in truth.read_text().splitlines()] == [0, 1, 2, 3]
    live = open_camera(f"{form}?fps=25")
    assert (live.info.live, live.info.fps) == (True, 25.0)
    live.close()


def test_network_cameras_are_supervised_and_recordings_are_not() -> None:
    with MjpegServer(lambda _: GREY) as server:
        camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg")
        assert isinstance(camera, SupervisedCamera)
        assert camera.info.live
        camera.close()
    with MjpegServer(lambda _: GREY, frames=6) as server:
        assert count(open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", live=False)) == 6
        recording = open_camera(f"http://127.0.0.1:{server.port}/a.mp4?token=x")
        assert not recording.info.live
        recording.close()


@pytest.mark.parametrize("source", ["0", "/dev/video57", "7"])
def test_a_v4l2_device_that_is_absent_is_a_lost_camera(source: str) -> None:
    number = source.removeprefix("/dev/video")
    if Path(f"/dev/video{number}").exists():
        pytest.skip("this machine has that camera")
    with pytest.raises(CameraLost, match=f"/dev/video{number} cannot be opened") as caught:
        open_camera(source)
    assert "/dev/video" in caught.value.hint


def test_a_csi_camera_says_what_is_missing() -> None:
    with pytest.raises(CameraLost) as caught:
        open_camera("csi:0")
    assert "apt install" in caught.value.hint or "JetPack" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "no camera, file or folder"),
        ("nothing.mp4", "no camera, file or folder"),
        ("ftp://admin:hunter2@host/x", r"ftp://\*\*\*@host/x"),
        ("csi:front", "names no CSI camera"),
        ("synthetic:rain", "no synthetic source 'rain'"),
        ("synthetic:?colour=red", "unknown option 'colour'"),
        ("synthetic:?fps=fast", "fps='fast', which is no number"),
        ("synthetic:?frames=1.5", "which is no whole number"),
        ("synthetic:?fps=0", "cannot be played"),
        ("synthetic:?fps=nan", "cannot be played"),
        ("conveyor:?live=maybe", "which is no yes or no"),
        ("conveyor:?fps=-1", "fps"),
        ("gst:", "needs a pipeline"),
        ("folder:/no/such/place", "cannot be read"),
    ],
)
def test_what_is_no_source_is_refused_with_what_to_do(source: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        open_camera(source)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_an_unknown_source_lists_every_form() -> None:
    with pytest.raises(InputError) as caught:
        open_camera("nothing")
    assert all(form.form in caught.value.hint for form in SOURCE_FORMS)


def test_options_can_be_given_whole() -> None:
    options = SourceOptions(frames=3, width=64, height=48)
    assert count(open_camera("synthetic:", options)) == 3
    assert count(open_camera("synthetic:", options, frames=1)) == 1


def test_listing_the_forms_imports_no_camera_library() -> None:
    code = (
        "import sys, edgesdk_agent.cameras.catalogue\n"
        "print([name for name in ('cv2', 'gi', 'picamera2', 'psutil', 'paho') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_failing_network_source_prints_no_password() -> None:
    # In a process of its own, as FFmpeg and OpenCV print past Python.
    code = (
        "from edgesdk_agent.cameras.catalogue import open_camera\n"
        "for scheme in ('rtsp', 'rtsps', 'http', 'https'):\n"
        "    try:\n"
        "        open_camera(scheme + '://admin:hunter2@127.0.0.1:9/live?pwd=hunter2', open_timeout_s=2)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error, repr(error))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_loud_environment()
    )
    assert answer.stdout.count("CameraLost http") + answer.stdout.count("CameraLost rtsp") == 4
    assert "hunter2" not in answer.stdout + answer.stderr


def _loud_environment() -> dict[str, str]:
    import os

    return {**os.environ, "OPENCV_LOG_LEVEL": "VERBOSE", "OPENCV_FFMPEG_LOGLEVEL": "40"}


def test_every_error_of_a_source_is_one_of_ours(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"\x89PNG\r\n\x1a\n", b"RIFF....AVI LIST", b"\x00\x00\x00\x18ftypmp42")):
        for suffix in (".mp4", ".png", ".avi", ""):
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(content)
            with pytest.raises(EdgeError):
                count(open_camera(str(path)))


@pytest.mark.parametrize("source", ["synthetic:?frames=1", "conveyor:?frames=1", "synthetic:conveyor?frames=1"])
def test_a_decoder_that_cannot_apply_is_said_not_to_be_used(source: str, caplog: pytest.LogCaptureFixture) -> None:
    open_camera(source, decoder="auto").close()
    assert "decoder" not in caplog.text
    open_camera(source, decoder="nvdec").close()
    assert "decoder nvdec is not used: it is for RTSP and films, not for made pictures" in caplog.text
