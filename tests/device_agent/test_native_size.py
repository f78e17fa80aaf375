"""What is done about pictures that seem to be stretched; that they seem so is the test's word."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from edgesdk_agent.cameras import native_size
from edgesdk_agent.cameras.camera import CameraCounts, FrameLost, SizeChanged, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.conversion_price import ConversionPrice, DearRun
from edgesdk_agent.cameras.film_sizes import FilmSizes
from edgesdk_agent.cameras.native_size import NativeSize
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array
from edgesdk_testkit.camera_pictures import grey, write_video
from edgesdk_testkit.mjpeg_server import MjpegServer


class Capture:
    """A `cv2.VideoCapture` that has grabbed a picture."""

    def __init__(self, form: bytes = b"I420") -> None:
        self._form = form

    def retrieve(self, out: Array | None) -> tuple[bool, Array]:
        return True, grey(0)

    def get(self, name: int) -> float:
        assert name == cv2.CAP_PROP_CODEC_PIXEL_FORMAT
        return float(int.from_bytes(self._form, "little", signed=True))


CAPTURE = cast("cv2.VideoCapture", Capture())


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every picture but the first one is dear, and is found to be scaled."""
    made: dict[str, Any] = {"films": 0, "forgotten": 0}

    class Counted(FilmSizes):
        def __init__(self, path: Path) -> None:
            made["films"] += 1
            super().__init__(path)

    def forget(price: ConversionPrice) -> None:
        made["forgotten"] += 1

    monkeypatch.setattr(ConversionPrice, "is_dear", lambda *_: True)
    monkeypatch.setattr(ConversionPrice, "is_scaled", lambda *_, **__: True)
    monkeypatch.setattr(ConversionPrice, "forget", forget)
    monkeypatch.setattr(DearRun, "lasts", lambda *_: True)
    monkeypatch.setattr(native_size, "FilmSizes", Counted)
    return made


def stream(counts: CameraCounts, *, live: bool) -> NativeSize:
    return NativeSize("door", live=live, film=None, counts=counts)


@pytest.mark.usefixtures("alarms")
def test_a_live_camera_is_to_be_opened_again_and_who_opens_it_judges() -> None:
    counts = CameraCounts()
    with pytest.raises(SizeChanged, match="door seems to have changed the size of its pictures, which was 96x64"):
        stream(counts, live=True).retrieve(CAPTURE, 0, None)
    assert (counts.size_alarms, counts.resized) == (0, 0)


@pytest.mark.parametrize(("form", "told"), [(b"I420", 0), (b"Y3\x0b\x0a", 1), (b"444P", 1)], ids=["8", "10", "444"])
def test_of_a_stream_whose_price_tells_nothing_that_is_told_once(
    form: bytes, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, native_size.__name__)
    camera, capture = stream(CameraCounts(), live=True), cast("cv2.VideoCapture", Capture(form))
    assert all(camera.retrieve(capture, number, None) is not None for number in range(3))
    assert sum("mostly not noticed" in message for message in caplog.messages) == told


@pytest.mark.usefixtures("alarms")
def test_after_two_false_alarms_it_is_left_alone() -> None:
    camera = stream(CameraCounts(size_alarms=2), live=True)
    assert all(camera.retrieve(CAPTURE, number, None) is not None for number in range(5))


@pytest.mark.usefixtures("alarms")
def test_a_good_camera_is_kept_whatever_its_pictures_cost() -> None:
    came, lost = 0, 0
    with MjpegServer(grey) as server:
        camera = open_camera(f"http://127.0.0.1:{server.port}/a.mjpg", attempts=0)
        for _ in range(20):
            try:
                came += camera.read(None) is not None
            except FrameLost:
                lost += 1
        camera.close()
    assert (came, lost) == (18, 2)
    assert (counts_of(camera).size_alarms, counts_of(camera).resized, counts_of(camera).stalls) == (2, 0, 0)


@pytest.mark.usefixtures("alarms")
def test_a_recording_that_is_streamed_goes_on_and_is_warned_of_twice(caplog: pytest.LogCaptureFixture) -> None:
    counts = CameraCounts()
    camera = stream(counts, live=False)
    assert all(camera.retrieve(CAPTURE, number, None) is not None for number in range(5))
    assert counts.size_alarms == 2
    first, second = (record.message for record in caplog.records)
    assert "stretched" in first
    assert "not looked for any more" in second


def test_a_film_of_one_size_is_read_beside_once_however_often_it_seems_to_change(
    tmp_path: Path, alarms: dict[str, Any]
) -> None:
    camera = open_camera(str(write_video(tmp_path / "film.avi", frames=20)))
    shapes = []
    while (picture := camera.read(None)) is not None:
        shapes.append(picture.shape)
    camera.close()
    assert len(shapes) == 20
    assert len(set(shapes)) == 1
    assert (alarms["films"], alarms["forgotten"]) == (1, 20)


def test_what_a_film_of_key_frames_was_looked_at_with_does_not_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its format's price tells nothing, and each of its pictures is a key frame: its packets are looked at, and left."""
    opened, closed = list[FilmSizes](), list[FilmSizes]()

    class Counted(FilmSizes):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            opened.append(self)

        def close(self) -> None:
            super().close()
            closed.append(self)

    monkeypatch.setattr(native_size, "FilmSizes", Counted)
    monkeypatch.setattr(native_size, "_price_tells", lambda _: False)
    caplog.set_level(logging.INFO, native_size.__name__)
    # That nothing looks dear meanwhile, whatever the machine does.
    monkeypatch.setattr(ConversionPrice, "is_dear", lambda *_: False)
    camera, pictures = open_camera(str(write_video(tmp_path / "film.avi", frames=5))), 0
    while camera.read(None) is not None:
        pictures += 1
        assert len(opened) == len(closed) == 1
    camera.close()
    assert pictures == 5
    assert [message for message in caplog.messages if "mostly not noticed" in message] == caplog.messages != []
    assert len(caplog.messages) == 1


def test_it_is_not_read_beside_where_sizes_are_not_to_be_noticed(tmp_path: Path, alarms: dict[str, Any]) -> None:
    camera = open_camera(str(write_video(tmp_path / "film.avi", frames=5)), notice_sizes=False)
    while camera.read(None) is not None:
        continue
    camera.close()
    assert alarms["films"] == 0


@pytest.mark.usefixtures("alarms")
def test_a_film_whose_packets_say_no_size_is_warned_of_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FilmSizes, "of", lambda *_: None)
    camera, pictures = open_camera(str(write_video(tmp_path / "film.avi", frames=5))), 0
    while camera.read(None) is not None:
        pictures += 1
    camera.close()
    assert pictures == 5
    assert [message for message in caplog.messages if "codec does not say" in message] != []
    assert len(caplog.messages) == 1
