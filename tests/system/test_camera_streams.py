"""Cameras against real servers: a late reader gets a fresh picture, decoders agree, sizes change, films are cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgesdk_agent.cameras.camera import Camera, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.gstreamer import GStreamerCamera
from edgesdk_targets.tensor import Array
from edgesdk_testkit.h264_files import film_to_serve, write_h264
from edgesdk_testkit.pixel_stamp import read_stamp
from edgesdk_testkit.rtsp_server import RtspServer, looped, stamped
from edgesdk_testkit.stamped_mjpeg import StampedMjpeg
from edgesdk_testkit.system_gstreamer import run_pipeline
from edgesdk_testkit.system_packages import gstreamer_on_path

pytestmark = [pytest.mark.paced, pytest.mark.system, pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning")]

WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 25, 50
DELAY_S = 2.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_to_serve(tmp_path_factory.mktemp("film"), width=WIDTH, height=HEIGHT, fps=FPS, frames=FRAMES)


@pytest.fixture
def gstreamer() -> Iterator[None]:
    with gstreamer_on_path():
        yield


class Newest:
    """Read a camera all the time, as the pipeline's capture thread does, and keep the newest picture."""

    def __init__(self, camera: Camera) -> None:
        self.picture: Array | None = None
        self._camera = camera
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while (picture := self._camera.read(None)) is not None:
            self.picture = picture

    def stop(self) -> None:
        self._camera.close()
        self._thread.join()


def _age(picture: Array | None) -> float:
    assert picture is not None
    return time.monotonic() - read_stamp(picture)


def test_sockets_are_drained_by_reading_all_the_time(film: Path) -> None:
    with StampedMjpeg(film, fps=FPS) as url:
        left_alone, camera = open_camera(url), open_camera(url)
        newest = Newest(camera)
        assert left_alone.read(None) is not None
        threading.Event().wait(DELAY_S)
        fresh, stale = _age(newest.picture), _age(left_alone.read(None))
        newest.stop()
        left_alone.close()
    assert fresh < DELAY_S / 4
    # The control: who does not read finds what lay in the sockets.
    assert stale > DELAY_S / 2


@pytest.mark.usefixtures("gstreamer")
def test_rtsp_by_gstreamer_is_drained_also_while_nobody_reads(film: Path) -> None:
    with RtspServer(stamped(film, fps=FPS)) as url:
        camera = open_camera(url)
        assert camera.info.decoder == "gstreamer (avdec_h264)"
        assert camera.read(None) is not None
        threading.Event().wait(DELAY_S)
        # The sink keeps one picture and replaces it.
        age = _age(camera.read(None))
        used = counts_of(camera).decode_cpu_s
        camera.close()
    assert age < DELAY_S / 4
    assert used is not None
    assert used > 0


def test_rtsp_by_software_is_no_older_than_its_analysis_and_then_fresh(film: Path) -> None:
    with RtspServer(stamped(film, fps=FPS)) as url:
        newest = Newest(open_camera(url, decoder="software"))
        threading.Event().wait(DELAY_S / 2)
        age = _age(newest.picture)
        newest.stop()
    assert age < DELAY_S / 4


@pytest.mark.usefixtures("gstreamer")
def test_both_decoders_see_the_same_pictures(film: Path) -> None:
    one, other = open_camera(str(film), decoder="software"), open_camera(str(film), decoder="gstreamer")
    pictures = 0
    while (a := one.read(None)) is not None:
        b = other.read(None)
        assert b is not None
        assert np.abs(a.astype(int) - b).mean() < 3
        pictures += 1
    assert other.read(None) is None
    other.close()
    assert pictures == FRAMES


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("decoder", ["software", "gstreamer"])
def test_detect_fps_thins_an_rtsp_camera_and_counts_the_rest(film: Path, decoder: str) -> None:
    with RtspServer(looped(film, fps=FPS)) as url:
        camera = open_camera(url, decoder=decoder, detect_fps=5.0)
        began, taken = time.monotonic(), 0
        while time.monotonic() - began < 1.5:
            assert camera.read(None) is not None
            taken += 1
        camera.close()
    # Waiting for the last one may take an interval.
    assert 2 <= taken <= 10
    assert counts_of(camera).skipped > 2 * taken


@pytest.mark.usefixtures("gstreamer")
def test_a_size_that_changes_in_mid_stream_is_followed_and_counted(tmp_path: Path) -> None:
    whole = tmp_path / "two_sizes.h264"
    for width, height in ((320, 240), (640, 480)):
        part = tmp_path / f"{width}.h264"
        run_pipeline(
            f"videotestsrc num-buffers=10 ! video/x-raw,width={width},height={height} ! x264enc bframes=0 ! "
            f'video/x-h264,stream-format=byte-stream ! h264parse config-interval=-1 ! filesink location="{part}"'
        )
        with whole.open("ab") as file:
            file.write(part.read_bytes())
    camera = GStreamerCamera(f'filesrc location="{whole}" ! h264parse ! avdec_h264', live=False)
    shapes, out = [], None
    while (out := camera.read(out)) is not None:
        shapes.append(out.shape[:2])
    camera.close()
    assert shapes == [(240, 320)] * 10 + [(480, 640)] * 10
    assert camera.counts.resized == 1
    assert (camera.info.width, camera.info.height) == (640, 480)


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("decoder", ["software", "gstreamer"])
def test_a_film_that_is_cut_off_ends(tmp_path: Path, decoder: str) -> None:
    whole = write_h264(tmp_path / "whole.mkv", width=320, height=240, fps=25, frames=50)
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    camera = open_camera(str(torn), decoder=decoder)
    found = 0
    while camera.read(None) is not None:
        found += 1
    camera.close()
    assert 10 < found < 50
