"""A reader in a process of its own: pictures without a copy, a kill that costs one picture, and no password in its title."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera, CameraCounts, FrameLost, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.isolation import isolated as isolated_module
from edgesdk_agent.cameras.isolation import left_readers
from edgesdk_agent.cameras.isolation.isolated import IsolatedCamera
from edgesdk_agent.cameras.isolation.picture_slots import MOST_SLOTS, PictureSlot
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_targets.tensor import Array
from edgesdk_testkit.camera_pictures import grey, number_of
from edgesdk_testkit.mjpeg_server import MjpegServer
from edgesdk_testkit.slots import wait_until

PASSWORD = "hunter2"
QUICK = SupervisionLimits(silent_after_s=1.5, retry_most_s=0.2, steady_after_s=0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey, credentials=f"admin:{PASSWORD}") as server:
        yield server


def isolated(server: MjpegServer, slots: list[PictureSlot] | None = None, silent_s: float = 5.0) -> IsolatedCamera:
    return IsolatedCamera(
        url(server),
        {"decoder": "auto"},
        description="door",
        silent_s=silent_s,
        open_s=10.0,
        slots=[] if slots is None else slots,
        counts=CameraCounts(),
    )


def url(server: MjpegServer, path: str = "video.mjpg") -> SecretUrl:
    return SecretUrl(f"http://admin:{PASSWORD}@127.0.0.1:{server.port}/{path}")


def _files() -> int:
    gc.collect()  # what tests before this one left behind is not of this one
    return len(list(Path("/proc/self/fd").iterdir()))


class TestIsolated(CameraContract):
    live, frames = True, None

    @pytest.fixture(autouse=True)
    def _server(self, server: MjpegServer) -> None:
        self.server = server

    def make(self) -> Camera:
        return isolated(self.server)


def test_pictures_lie_in_the_memory_that_the_process_writes(server: MjpegServer) -> None:
    slots: list[PictureSlot] = []
    camera = isolated(server, slots)
    camera.lend_pictures()
    first, second = camera.read(None), camera.read(None)
    assert first is not None
    assert second is not None
    assert len(slots) == 2
    kept, numbers = first.copy(), {number_of(first), number_of(second)}
    for _ in range(10):
        # Given back, it is written again; what is not stays as it was.
        assert camera.read(second) is second
        numbers.add(number_of(second))
        assert np.array_equal(first, kept)
    camera.close()
    assert len(slots) == 2
    assert len(numbers) > 5
    assert np.array_equal(first, kept), "it outlives the process"


def test_whoever_keeps_too_many_is_told(server: MjpegServer) -> None:
    camera = isolated(server)
    camera.lend_pictures()
    for _ in range(MOST_SLOTS):
        camera.read(None)
    with pytest.raises(InputError, match="More pictures"):
        camera.read(None)
    camera.close()


def test_no_password_is_in_the_process_title_or_in_what_is_said(server: MjpegServer) -> None:
    camera = isolated(server)
    title = Path(f"/proc/{camera.pid}/cmdline").read_bytes()
    assert camera.read(None) is not None
    assert PASSWORD.encode() not in title
    assert PASSWORD not in f"{camera.info}{camera!r}"
    camera.close()
    with pytest.raises(CameraLost) as caught:
        IsolatedCamera(
            SecretUrl(f"http://admin:wrong{PASSWORD}@127.0.0.1:{server.port}/video.mjpg"), {},
            description="door", silent_s=5.0, open_s=10.0, slots=[], counts=CameraCounts(),
        )  # fmt: skip
    assert PASSWORD not in f"{caught.value}{caught.value!r}"


def supervised(server: MjpegServer) -> SupervisedCamera:
    camera = open_camera(url(server), isolate=True, supervision=QUICK)
    assert isinstance(camera, SupervisedCamera)
    camera.lend_pictures()
    return camera


def reads_until_back(camera: Camera, out: Array | None) -> Array:
    reads = 0
    while True:
        try:
            out = camera.read(out)
        except FrameLost as lost:
            assert "was lost and is back" in lost.message  # noqa: PT017  (the others are pictures)
            break
        reads += 1
        assert reads < 1000
    picture = camera.read(out)
    assert picture is not None
    return picture


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGSEGV, signal.SIGKILL])
def test_a_reader_that_hangs_or_crashes_is_replaced(server: MjpegServer, number: signal.Signals) -> None:
    with closing(supervised(server)) as camera:
        out = camera.read(None)
        reader = camera._camera
        assert isinstance(reader, IsolatedCamera)
        files = _files()
        os.kill(reader.pid, number)
        reads_until_back(camera, out)
        assert not Path(f"/proc/{reader.pid}").exists()
        assert _files() <= files
        assert (camera.counts.stalls, camera.counts.reconnects) == (1, 1)


def test_a_close_ends_a_read_that_hangs(server: MjpegServer) -> None:
    camera = isolated(server, silent_s=60.0)
    assert camera.read(None) is not None
    os.kill(camera.pid, signal.SIGSTOP)
    camera.close()
    assert camera.read(None) is None
    assert not Path(f"/proc/{camera.pid}").exists()


def test_a_reader_that_a_driver_holds_beyond_its_kill_is_left_and_collected_later(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, silent = isolated(server), isolated(server, silent_s=0.1)
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        # As in state D: the signal is sent, and nothing comes of it; nor of the end of the thread that started it.
        patch.setattr(isolated_module.os, "killpg", lambda *_: None)
        for camera in (held, silent):
            patch.setattr(camera._starter, "shutdown", lambda **_: None)
        try:
            for camera in (held, silent):
                os.kill(camera.pid, signal.SIGSTOP)
            closing, reading = pool.submit(held.close), pool.submit(silent.read, None)
            closing.result(10)
            with pytest.raises(CameraLost, match="hung"):
                reading.result(10)
            assert left_readers.collect() == 2
        finally:
            for camera in (held, silent):
                os.kill(camera.pid, signal.SIGKILL)
    for camera in (held, silent):
        camera._starter.shutdown()
    silent.close()
    other = isolated(server)
    wait_until(lambda: left_readers.collect() == 0, "the readers that were left")
    other.close()
    assert not any(Path(f"/proc/{camera.pid}").exists() for camera in (held, silent))


def test_a_size_that_changes_is_followed() -> None:
    def picture(number: int) -> Array:
        return np.full((64, 96, 3) if number < 5 else (128, 160, 3), 90, np.uint8)

    slot = PictureSlot()
    slot.grow(64 * 96 * 3)
    small = slot.hand_out((64, 96, 3))
    small[:] = picture(0)
    slot.grow(128 * 160 * 3)
    assert slot.hand_out((128, 160, 3)).shape == (128, 160, 3)
    assert (small == 90).all(), "what was handed out before stays mapped"


def test_an_option_that_cannot_be_used_is_told_by_the_process(server: MjpegServer) -> None:
    with pytest.raises(InputError, match="detect_fps"):
        open_camera(url(server), isolate=True, detect_fps=-1.0)


def test_counts_go_on_over_the_lives_of_the_process(server: MjpegServer) -> None:
    camera = open_camera(url(server), isolate=True, supervision=QUICK, detect_fps=20.0)
    out = camera.read(None)
    for _ in range(4):
        out = camera.read(out)
    before = counts_of(camera).skipped
    assert before > 0
    reader = camera._camera  # type: ignore[attr-defined]
    os.kill(reader.pid, signal.SIGKILL)
    reads_until_back(camera, out)
    assert counts_of(camera).skipped >= before
    camera.close()
