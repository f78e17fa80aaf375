"""The sources on which ages are measured: what is read out of a picture is the time at which it was made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_targets.tensor import Array
from edgesdk_testkit.h264_files import film_to_serve
from edgesdk_testkit.pixel_stamp import StampUnreadable, read_stamp, stamp, stamp_i420
from edgesdk_testkit.rtsp_server import RtspServer, stamped
from edgesdk_testkit.stamped_mjpeg import StampedMjpeg

pytestmark = [pytest.mark.system, pytest.mark.paced]

WIDTH, HEIGHT, FPS = 320, 240, 50


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_to_serve(tmp_path_factory.mktemp("film"), width=WIDTH, height=HEIGHT, fps=FPS, frames=FPS)


def _scene(seed: int, width: int = 640, height: int = 360) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("width", [224, 320, 640, 1920])
def test_a_stamp_survives_a_coarse_jpeg_of_noise(width: int) -> None:
    now = time.monotonic()
    picture = _scene(1, width)
    stamp(picture, now)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    assert read_stamp(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == pytest.approx(now, abs=0.0011)


def test_it_is_the_same_in_planes_of_luma_and_colour() -> None:
    now = time.monotonic()
    planes = bytearray(np.random.default_rng(2).integers(0, 256, 640 * 360 * 3 // 2, np.uint8).tobytes())
    stamp_i420(planes, 640, 360, now)
    picture = cv2.cvtColor(np.frombuffer(planes, np.uint8).reshape(540, 640), cv2.COLOR_YUV2BGR_I420)
    assert read_stamp(picture) == pytest.approx(now, abs=0.0011)


def test_a_picture_without_a_stamp_or_with_two_is_refused_and_not_guessed() -> None:
    with pytest.raises(StampUnreadable):
        read_stamp(_scene(3))
    one, two = _scene(4), _scene(4)
    stamp(one, 1000.0)
    stamp(two, 3000.5)
    with pytest.raises(StampUnreadable, match="neither 0 nor 1"):
        read_stamp(cv2.addWeighted(one, 0.5, two, 0.5, 0))


def _stamps(url: str, count: int) -> Iterator[float]:
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    for _ in range(count):
        read, picture = capture.read()
        assert read
        yield read_stamp(picture)
    capture.release()


def _assert_are_moments_of_a_camera(stamps: list[float], opened: float) -> None:
    assert all(before <= after for before, after in pairwise(stamps)), stamps
    assert opened - 1 < stamps[0]
    assert stamps[-1] <= time.monotonic()
    # The mean over the run, as single frames come when the machine lets them.
    assert (stamps[-1] - stamps[0]) / (len(stamps) - 1) == pytest.approx(1 / FPS, rel=0.5)


def test_mjpeg_over_http_is_stamped_at_its_rate(film: Path) -> None:
    with StampedMjpeg(film, fps=FPS) as url:
        opened = time.monotonic()
        _assert_are_moments_of_a_camera(list(_stamps(url, 40)), opened)


def test_rtsp_is_stamped_at_its_rate(film: Path) -> None:
    with RtspServer(stamped(film, fps=FPS)) as url:
        opened = time.monotonic()
        _assert_are_moments_of_a_camera(list(_stamps(url, 40)), opened)


def test_a_film_is_cut_to_the_length_that_is_asked_for(film: Path, tmp_path: Path) -> None:
    from edgesdk_testkit.h264_files import write_h264

    half = write_h264(tmp_path / "half.mp4", width=WIDTH, height=HEIGHT, fps=FPS, frames=FPS // 2, source=film)
    capture, found = cv2.VideoCapture(str(half)), 0
    while capture.grab():
        found += 1
    assert found == FPS // 2
