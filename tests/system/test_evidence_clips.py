"""Clips cut from the encoded stream of a real RTSP camera: they play, and show the time that was asked for, by the clock
in their pixels."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_agent.evidence.clip_camera import ClipCamera, ClipRequest
from edgesdk_agent.evidence.encoded_stream import OpenCvPackets, Packet
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_testkit.film_pictures import film_stamps
from edgesdk_testkit.rtsp_server import RtspServer
from edgesdk_testkit.stamped_camera import stamped_camera

pytestmark = pytest.mark.system
FPS = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    with stamped_camera(tmp_path_factory.mktemp("film"), fps=FPS) as running:
        yield running


def test_a_clip_plays_and_covers_its_event_and_a_lost_stream_ends_it_early(server: RtspServer, tmp_path: Path) -> None:
    enough = threading.Event()
    first: list[float] = []

    class Watched(OpenCvPackets):
        def read(self) -> Packet | None:
            packet = super().read()
            if packet is not None:
                first.append(packet.at)
                if packet.at - first[0] > 1.2:
                    enough.set()
            return packet

    ring = PacketRing(tmp_path / "ring", keep_s=4.0, segment_s=0.5, max_bytes=1 << 24)
    clips: list[ClipRequest] = []
    camera = ClipCamera(
        "gate", lambda: Watched(SecretUrl(server.urls[0])), ring, tmp_path / "clips", on_clip=clips.append
    )
    camera.start()
    assert enough.wait(20)
    event_at = time.monotonic()
    request = ClipRequest("gate", event_at - 0.8, event_at + 1.0)
    assert camera.ask(request)
    assert request.done.wait(10)
    assert request.complete
    assert clips == [request]
    assert request.path is not None
    shown = film_stamps(request.path)
    assert shown[0] <= event_at - 0.8
    assert shown[-1] >= event_at + 1.0 - 2 / FPS - 0.1
    gaps = [after - before for before, after in itertools.pairwise(shown)]
    assert max(gaps) < 3.5 / FPS, "no picture is missing in between, beyond what the server left out"

    cut_off = ClipRequest("gate", time.monotonic() - 0.5, time.monotonic() + 60)
    assert camera.ask(cut_off)
    server.stop()
    camera.close()
    assert camera.join(15)
    assert cut_off.done.wait(1)
    assert cut_off.path is not None
    assert not cut_off.complete
    assert film_stamps(cut_off.path)
    assert not list((tmp_path / "ring").iterdir())
    counts = camera.counts()
    assert (counts["clips"], counts["incomplete"], counts["clips_failed"]) == (2, 1, 0)
