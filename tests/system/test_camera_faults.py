"""A real RTSP camera that is killed, hangs, freezes its picture, changes its rate, or sends one frame a second.

The twenty-fold form, with the growth of memory and the neighbours' age, is `python benchmarks/camera_faults.py`.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.cameras.camera import Camera, health_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.finding.probe import probe_camera
from edgesdk_agent.cameras.supervision import limits as limits_module
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_testkit.camera_faults import (
    BOUND_S,
    LIMITS,
    OPEN_TIMEOUT_S,
    Watched,
    break_and_mend,
    held,
    stop_reader,
)
from edgesdk_testkit.h264_files import write_h264
from edgesdk_testkit.pipelines import Sink, make
from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import RtspServer, looped, missing_part
from edgesdk_testkit.slots import Script
from edgesdk_testkit.system_packages import gstreamer_on_path

pytestmark = [pytest.mark.paced, pytest.mark.system, pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning")]

FPS = 15


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (why := missing_part()) is not None:
        missing(why)
    return write_h264(tmp_path_factory.mktemp("film") / "film.mp4", width=320, height=240, fps=FPS, frames=2 * FPS)


@pytest.fixture(autouse=True)
def _gstreamer() -> Iterator[None]:
    with gstreamer_on_path():
        yield


def opened(url: str, **values: Any) -> Camera:
    return open_camera(url, **{"supervision": LIMITS, "open_timeout_s": OPEN_TIMEOUT_S, **values})


@pytest.mark.parametrize("how", [{"decoder": "gstreamer"}, {"decoder": "software"}, {"isolate": True}], ids=str)
def test_killed_and_hung_it_comes_back_within_the_bound_and_nothing_grows(film: Path, how: dict[str, Any]) -> None:
    server = RtspServer(looped(film, fps=FPS)).start()
    try:
        with Watched(opened(server.urls[0], **how)) as watched:
            break_and_mend(server, watched, "killed")
            before = held()
            for fault in ("frozen", "killed"):
                assert break_and_mend(server, watched, fault) < BOUND_S
            # What the last connection held may go a moment later than its pictures come back.
            watched.wait_for(lambda: held().children == before.children, "as many children as before")
            watched.wait_for(lambda: held().files <= before.files, "as many open files as before")
            watched.wait_for(lambda: held().threads <= before.threads, "as many threads as before")
            assert watched.counts.reconnects == watched.counts.stalls == 3
    finally:
        server.stop()


def test_a_reader_that_is_not_watched_does_not_come_back(film: Path) -> None:
    """The control of the one above: without supervision the same fault is the end."""
    server = RtspServer(looped(film, fps=FPS)).start()
    watched = Watched(open_camera(server.urls[0], supervised=False))
    with watched:
        server.stop()
        assert watched.ended(20)
        server.start()
        assert watched.error is not None
    server.stop()


def test_a_hung_decoder_is_killed_and_costs_a_gap(film: Path) -> None:
    with RtspServer(looped(film, fps=FPS)) as url, Watched(opened(url, isolate=True)) as watched:
        pid, at = stop_reader(watched.camera), time.monotonic()
        watched.wait_for(lambda: watched.counts.reconnects == 1, "another reader")
        came = watched.first_after(at + LIMITS.silent_after_s)
        watched.wait_for(lambda: watched.first_after(at + LIMITS.silent_after_s) is not None, "its pictures")
        assert not Path(f"/proc/{pid}").exists()
        assert came is None or came - at < BOUND_S + 1.0


def test_a_frozen_picture_is_found_within_its_bound_and_not_without_the_rule(film: Path) -> None:
    freezes = looped(film, fps=FPS, then_after_s=2.0, then_fps=0.0)
    after_s = 2.0
    limits = dataclasses.replace(LIMITS, frozen_after_s=after_s)
    blind = dataclasses.replace(LIMITS, frozen_after_s=0.0)
    with RtspServer(freezes) as url, Watched(opened(url, supervision=limits)) as watched:
        began = watched.times[0]
        with Watched(opened(url, supervision=blind)) as control:
            watched.wait_for(lambda: watched.counts.frozen == 1, "the frozen picture")
            found = time.monotonic()
            watched.wait_for(lambda: watched.counts.reconnects == 1, "the new connection")
            # From its first frozen picture, with the slack of a busy machine.
            assert after_s <= found - began - 1.0
            assert found - began < 2.0 + after_s + 2.0
            back = time.monotonic()
            watched.wait_for(lambda: watched.first_after(back) is not None, "a moving picture")
            assert (control.counts.frozen, control.counts.reconnects) == (0, 0)


def test_one_frame_a_second_is_not_restarted_and_a_rule_blind_to_the_rate_does(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dataclasses.replace(LIMITS, silent_after_s=0.3, frozen_after_s=0.5)
    with RtspServer(looped(film, fps=1.0)) as url:
        with Watched(opened(url, supervision=limits, fps=1.0)) as watched:
            assert (watched.counts.stalls, watched.counts.reconnects, watched.counts.frozen) == (0, 0, 0)
        monkeypatch.setattr(limits_module, "SILENT_FRAMES", 0)
        watched = Watched(opened(url, supervision=limits, fps=1.0)).start()
        watched.wait_for(lambda: watched.counts.stalls > 0, "a restart for nothing")
        watched.stop()


def test_a_rate_that_changes_in_mid_stream_is_followed_without_a_restart(film: Path) -> None:
    with RtspServer(looped(film, fps=25.0, then_after_s=3.0, then_fps=5.0)) as url, Watched(opened(url)) as watched:
        script, began = Script(infer_s=0.002), watched.times[0]
        sink = Sink()
        pipeline = make(opened(url), script, sink)
        pipeline.start()
        watched.wait_for(lambda: watched.times[-1] - began > 6.0, "six seconds")
        stats = pipeline.stop()
        late = [at for at in watched.times if at - began > 4.0]
        assert 4.0 <= (len(late) - 1) / (late[-1] - late[0]) <= 6.0
        assert watched.counts.reconnects == 0
        assert stats.cameras["camera"].source is not None
        assert stats.cameras["camera"].source.reconnects == 0
        # No frame of the slower stream waits for one that was due at the old rate.
        assert stats.age.p95 is not None
        assert stats.age.p95 < 1 / 5


def test_one_hung_camera_slows_no_other(film: Path) -> None:
    good = RtspServer(*[looped(film, fps=FPS, name=f"camera{i}") for i in range(3)]).start()
    bad = RtspServer(looped(film, fps=FPS)).start()
    try:
        cameras = {f"camera{i}": opened(url) for i, url in enumerate(good.urls)}
        cameras["hung"] = opened(bad.urls[0])
        pipeline = make(cameras, Script(infer_s=0.002), Sink())
        pipeline.start()
        threading.Event().wait(1.0)
        bad.freeze()
        deadline = time.monotonic() + 20
        while health_of(cameras["hung"]).state == "online":
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        pipeline.interval_stats()
        threading.Event().wait(4.0)
        during = pipeline.interval_stats()
        bad.thaw()
        pipeline.stop()
    finally:
        good.stop()
        bad.stop()
    assert during.cameras["hung"].processed == 0
    for name in ("camera0", "camera1", "camera2"):
        assert during.cameras[name].fps == pytest.approx(FPS, rel=0.05)


def test_probe_says_what_a_camera_delivers_and_why_another_does_not(film: Path) -> None:
    streams = [looped(film, fps=FPS, name=name) for name in ("stream1", "stream2")]
    server = RtspServer(*streams, login="viewer:hunter@2").start()
    place = server.urls[0].removeprefix("rtsp://").partition("/")[0]
    try:
        report = probe_camera(SecretUrl(f"rtsp://viewer:hunter%402@{place}/stream2"), seconds=1.5)
        assert report.opens, report
        assert (report.width, report.height, report.codec, report.make) == (320, 240, "h264", "Tapo")
        assert report.fps == pytest.approx(FPS, rel=0.2)
        assert [(s.name, s.answers, s.codec, s.this) for s in report.streams] == [
            ("main", True, "h264", False),
            ("sub", True, "h264", True),
        ]
        assert report.decoder.startswith("gstreamer")
        assert any("works here" in reason for reason in report.decoder_reasons)
        assert "hunter" not in str(report.to_json())
        refused = probe_camera(SecretUrl(f"rtsp://viewer:wrong@{place}/stream2"))
        assert (refused.opens, "user and password" in refused.problem) == (False, True)
        absent = probe_camera(SecretUrl(f"rtsp://viewer:hunter%402@{place}/live"))
        assert "no such stream" in absent.problem
    finally:
        server.stop()
