"""Cameras and films over FFmpeg whose pictures change their size in mid-stream, through a pipeline."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.camera_reports import CameraReports
from edgesdk_agent.cameras.camera import Camera, CameraCounts, SizeChanged, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.opencv import OpenCvCamera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array
from edgesdk_testkit.mjpeg_server import MjpegServer
from edgesdk_testkit.pipelines import assert_accounts, make
from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import RtspServer, changed, missing_part
from edgesdk_testkit.slots import PATIENCE_S, Script
from edgesdk_testkit.system_gstreamer import run_pipeline

pytestmark = [pytest.mark.paced, pytest.mark.system, pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning")]

SMALL, LARGE = (240, 320), (480, 640)
FRAMES = 12
# Of a camera of 100 pictures a second, half a second of which are enough to notice a change; a machine that stalls needs more.
ENOUGH, PATIENT = 80, 3000


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two films of one scene, small and large."""
    if (why := missing_part()) is not None:
        missing(why)
    folder, made = tmp_path_factory.mktemp("sizes"), []
    for height, width in (SMALL, LARGE):
        made.append(folder / f"{width}.h264")
        run_pipeline(
            f"videotestsrc num-buffers={FRAMES} ! video/x-raw,format=I420,width={width},height={height},framerate=25/1 ! "
            "x264enc bframes=0 ! video/x-h264,stream-format=byte-stream ! h264parse config-interval=-1 ! "
            f'filesink location="{made[-1]}"'
        )
    return made[0], made[1]


@pytest.fixture(scope="module")
def film(parts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a film that is small, large, and small again."""
    small, large = (part.read_bytes() for part in parts)
    whole = tmp_path_factory.mktemp("film") / "film.h264"
    whole.write_bytes(small + large + small)
    return whole


class Shapes:
    """Collects the sizes of the pictures that a pipeline's results are about."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.came = threading.Condition()

    def __call__(self, result: FrameResult) -> None:
        assert result.image is not None
        with self.came:
            self.shapes.append((result.image.shape[0], result.image.shape[1]))
            self.came.notify_all()

    def wait_for(self, shape: tuple[int, int]) -> None:
        with self.came:
            assert self.came.wait_for(lambda: shape in self.shapes, PATIENCE_S), self.shapes


def run(camera: Camera, policy: Policy) -> tuple[list[tuple[int, int]], CameraCounts]:
    """Run a pipeline to the end of its camera, and return the sizes and what the camera counted."""
    seen = Shapes()
    with make(camera, Script(), seen, policy, keep_image=True) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stats())
    return seen.shapes, counts_of(camera)


def test_a_film_goes_on_in_each_of_its_sizes(film: Path) -> None:
    shapes, counts = run(open_camera(str(film)), "every_frame")
    assert shapes == [SMALL] * FRAMES + [LARGE] * FRAMES + [SMALL] * FRAMES
    assert counts.resized == 2


@pytest.mark.parametrize("raw", ["I420_10LE", "Y444"])
def test_so_does_one_whose_conversion_is_dear_in_any_case(raw: str, tmp_path: Path) -> None:
    if (why := missing_part()) is not None:
        missing(why)
    parts = {size: tmp_path / f"{size[1]}.h264" for size in (SMALL, LARGE)}
    run_pipeline(
        " ".join(
            f"videotestsrc num-buffers={FRAMES} ! video/x-raw,format={raw},width={width},height={height},framerate=25/1 ! "
            "x264enc bframes=0 ! video/x-h264,stream-format=byte-stream ! h264parse config-interval=-1 ! "
            f'filesink location="{part}"'
            for (height, width), part in parts.items()
        )
    )
    small, large = (part.read_bytes() for part in parts.values())
    (tmp_path / "film.h264").write_bytes(small + large + small)
    camera = open_camera(str(tmp_path / "film.h264"), loop=True)
    shapes = [picture.shape[:2] for _ in range(5 * FRAMES) if (picture := camera.read(None)) is not None]
    camera.close()
    once = [SMALL] * FRAMES + [LARGE] * FRAMES + [SMALL] * FRAMES
    assert shapes == [*once, *once[: 2 * FRAMES]]
    assert counts_of(camera).size_alarms == 0, "it is known, and not suspected"


def test_its_pictures_show_what_they_showed(film: Path, parts: tuple[Path, Path]) -> None:
    camera, pictures = open_camera(str(film)), []
    while (picture := camera.read(None)) is not None:
        pictures.append(picture)
    large = open_camera(str(parts[1])).read(None)
    assert large is not None
    # Coarser, as it was made smaller in between, but everything is where it was.
    assert np.abs(pictures[FRAMES].astype(int) - large).mean() < 8
    assert np.abs(pictures[FRAMES][:, ::-1].astype(int) - large).mean() > 30


def test_a_looped_film_begins_again_in_its_first_size(film: Path) -> None:
    camera = open_camera(str(film), loop=True)
    shapes = [picture.shape[:2] for _ in range(4 * FRAMES) if (picture := camera.read(None)) is not None]
    camera.close()
    assert shapes == [SMALL] * FRAMES + [LARGE] * FRAMES + [SMALL] * 2 * FRAMES


def test_opencv_alone_stretches_and_tells_nobody(film: Path) -> None:
    """The control: without looking at what pictures cost all are of the first size."""
    shapes, counts = run(
        OpenCvCamera(lambda: cv2.VideoCapture(str(film), cv2.CAP_FFMPEG), description="film", live=False), "every_frame"
    )
    assert shapes == [SMALL] * 3 * FRAMES
    assert counts.resized == 0


def test_a_film_of_one_size_is_left_alone(parts: tuple[Path, Path], tmp_path: Path) -> None:
    twice = tmp_path / "twice.h264"
    twice.write_bytes(2 * parts[0].read_bytes())
    shapes, counts = run(open_camera(str(twice)), "every_frame")
    assert shapes == [SMALL] * 2 * FRAMES
    assert counts.resized == 0


@pytest.mark.parametrize("isolate", [False, True])
def test_a_camera_whose_size_somebody_changes_is_opened_again_and_that_is_told(
    parts: tuple[Path, Path], isolate: bool
) -> None:
    told: list[tuple[str, Any]] = []
    seen = Shapes()
    server = RtspServer(changed(*parts, fps=25))
    with server as url:
        camera = open_camera(url, decoder="software", isolate=isolate)
        CameraReports({"door": camera}, lambda name, *_, data=None, **__: told.append((name, data)))
        with make(camera, Script(), seen, "freshest", keep_image=True) as pipeline:
            seen.wait_for(SMALL)
            server.change()
            seen.wait_for(LARGE)
    assert_accounts(pipeline.stats())
    counts = counts_of(camera)
    assert counts.resized == 1
    assert pipeline.stats().dropped["camera_lost"] == counts.reconnects >= 1
    # A few were stretched to the old size, until it was certain; and then all are large.
    assert set(seen.shapes) == {SMALL, LARGE}
    assert seen.shapes == sorted(seen.shapes)
    events = [(name, data["cause"], data["resized"]) for name, data in told]
    # A machine that stalls may make the camera slow, too.
    assert events.index(("camera_degraded", "resized", 0)) < events.index(("camera_online", "", 1))


def _grey(number: int) -> Array:
    return np.full((*(SMALL if number < 10 else LARGE), 3), 90, np.uint8)


def _read(camera: Camera, pictures: int) -> set[tuple[int, ...]]:
    """Return the shapes of so many pictures."""
    return {picture.shape for _ in range(pictures) if (picture := camera.read(None)) is not None}


def test_an_mjpeg_camera_likewise() -> None:
    with MjpegServer(_grey) as server:
        camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", supervised=False)
        assert _read(camera, 15) == {(*SMALL, 3)}
        with pytest.raises(SizeChanged, match="changed the size of its pictures, which was 320x240"):
            _read(camera, PATIENT)
        camera.close()


def test_one_that_is_not_to_be_noticed_is_not() -> None:
    """The control of the one above."""
    with MjpegServer(_grey) as server:
        camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", supervised=False, notice_sizes=False)
        shapes = _read(camera, ENOUGH)
        camera.close()
    assert shapes == {(*SMALL, 3)}


def test_a_recording_that_is_streamed_goes_on_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """It would begin again, and not go on, if it were opened again."""
    with MjpegServer(_grey) as server:
        camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", live=False)
        counts, pictures = counts_of(camera), 0
        while not counts.size_alarms and pictures < PATIENT:
            pictures += 1
            assert _read(camera, 1) == {(*SMALL, 3)}
        assert _read(camera, 5) == {(*SMALL, 3)}
        camera.close()
    assert (counts.size_alarms, counts.resized) == (1, 0)
    assert any("seems to have changed the size" in message for message in caplog.messages)
