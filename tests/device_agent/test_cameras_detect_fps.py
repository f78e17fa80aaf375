"""`detect_fps`: only so many pictures a second, evenly spaced, and the others counted apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edgesdk_agent.cameras.camera import counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.errors import InputError
from edgesdk_testkit.camera_pictures import grey, number_of, numbers, write_video
from edgesdk_testkit.mjpeg_server import MjpegServer

pytestmark = pytest.mark.alone


def _taken(wanted: WantedFrames, times: list[float]) -> list[float]:
    return [at for at in times if wanted.take(at)]


def test_frames_are_evenly_spaced_and_waver_does_not_add_up() -> None:
    # 30 frames/s whose arrival wavers by up to 6 ms, over a minute.
    times = [number / 30 + 0.006 * ((number * 7919) % 11 - 5) / 5 for number in range(1800)]
    taken = _taken(WantedFrames(5), times)
    assert len(taken) == 300
    assert all(later - earlier == pytest.approx(0.2, abs=0.013) for earlier, later in pairwise(taken))


def test_a_rate_that_divides_unevenly_is_kept_on_average() -> None:
    assert len(_taken(WantedFrames(10), [number / 15 for number in range(1500)])) == pytest.approx(1000, abs=2)


def test_where_fewer_come_all_are_wanted() -> None:
    times = [number / 5 for number in range(50)]
    assert _taken(WantedFrames(30), times) == times


def test_after_a_gap_nothing_is_made_up_for_and_a_clock_set_back_is_followed() -> None:
    times = [number / 30 for number in range(30)] + [60 + number / 30 for number in range(30)]
    assert len(_taken(WantedFrames(5), times)) == 10
    again = [number / 30 for number in range(30)] * 2
    assert len(_taken(WantedFrames(5), again)) == 10


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e6])
def test_a_rate_that_cannot_be_is_refused(fps: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="detect_fps"):
        WantedFrames(fps)
    with pytest.raises(InputError, match="detect_fps"):
        open_camera(str(write_video(tmp_path / "a.avi")), detect_fps=fps)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_of_a_film_every_fifth_frame_is_given_and_four_are_counted(tmp_path: Path, name: str, codec: str) -> None:
    film = write_video(tmp_path / name, codec, frames=50, fps=25.0)
    camera = open_camera(str(film), detect_fps=5.0)
    assert camera.info.fps == pytest.approx(5.0)
    assert numbers(camera) == [number % 12 for number in range(0, 50, 5)]
    assert counts_of(camera).skipped == 40
    # The control: without it all are given.
    whole = open_camera(str(film))
    assert len(numbers(whole)) == 50
    assert counts_of(whole).skipped == 0


def test_a_film_played_faster_than_its_own_rate_is_thinned_by_our_seconds(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.avi", frames=50, fps=25.0)
    camera = open_camera(str(film), fps=500.0, detect_fps=100.0)
    began = time.monotonic()
    assert numbers(camera) == [number % 12 for number in range(0, 50, 5)]
    # 50 frames at 500 a second; the first comes at once.
    assert time.monotonic() - began >= 9 / 100


def test_a_looped_film_goes_on_at_its_rate(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "a.avi", frames=50, fps=25.0)), detect_fps=5.0, loop=True)
    found = [number_of(p) for p in (camera.read(None) for _ in range(25)) if p is not None]
    camera.close()
    assert found == [number % 12 for number in range(0, 50, 5)] * 2 + [0, 5, 10, 3, 8]


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey, fps=100.0) as server:
        yield server


def test_of_a_stream_what_comes_between_is_taken_and_counted(server: MjpegServer) -> None:
    camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", detect_fps=20.0)
    began = time.monotonic()
    taken = 0
    while camera.read(None) is not None and time.monotonic() - began < 1.0:
        taken += 1
    camera.close()
    # Never more than are wanted, however late the machine is; the rest was taken from the socket all the same.
    assert taken <= 22
    assert counts_of(camera).skipped > taken


def test_what_decoding_costs_is_counted(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "a.avi", frames=50)))
    before = time.process_time()
    numbers(camera)
    used = counts_of(camera).decode_cpu_s
    assert used is not None
    assert 0 < used <= time.process_time() - before
    assert counts_of(open_camera("synthetic:?frames=2")).decode_cpu_s is None
