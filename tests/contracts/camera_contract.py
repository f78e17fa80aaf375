"""What every camera keeps, as tests: subclass `CameraContract` and say how the camera is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edgesdk_agent.cameras.camera import Camera

# Longer than any healthy step on a busy machine.
PATIENCE_S = 30.0


class CameraContract:
    """A subclass gives `make`, and says what to expect of what it makes.

    Attributes:
        live: what the camera's `info` must say.
        frames: how many pictures it delivers before its end; None for a camera without one.
    """

    live: bool
    frames: int | None

    def make(self) -> Camera:
        """Open a fresh camera."""
        raise NotImplementedError

    @pytest.fixture
    def camera(self) -> Iterator[Camera]:
        camera = self.make()
        yield camera
        camera.close()

    def test_its_info_says_what_it_delivers(self, camera: Camera) -> None:
        picture = camera.read(None)
        assert picture is not None
        assert (camera.info.height, camera.info.width, 3) == picture.shape
        assert camera.info.live is self.live
        assert camera.info.description
        assert camera.info.fps is None or camera.info.fps > 0

    def test_a_picture_is_bgr_bytes(self, camera: Camera) -> None:
        picture = camera.read(None)
        assert picture is not None
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.flags.c_contiguous
        assert picture.flags.writeable

    def test_an_array_that_fits_is_filled_and_returned(self, camera: Camera) -> None:
        first = camera.read(None)
        assert first is not None
        out = np.full_like(first, 77)
        second = camera.read(out)
        assert second is not None
        assert np.shares_memory(second, out)
        assert second.shape == out.shape
        assert not (out == 77).all(), "the array was returned without a picture in it"

    def test_an_array_that_does_not_fit_stays_as_it_is(self, camera: Camera) -> None:
        out = np.full((3, 5, 3), 77, np.uint8)
        picture = camera.read(out)
        assert picture is not None
        assert picture.shape == (camera.info.height, camera.info.width, 3)
        assert (out == 77).all()

    def test_pictures_given_out_do_not_change_when_the_next_is_read(self, camera: Camera) -> None:
        first = camera.read(None)
        assert first is not None
        before = first.copy()
        second = camera.read(None)
        assert second is not None
        assert not np.shares_memory(first, second)
        np.testing.assert_array_equal(first, before)

    def test_it_ends_with_none_and_stays_at_its_end_or_has_none(self, camera: Camera) -> None:
        out, count = None, 0
        limit = 40 if self.frames is None else self.frames + 1
        while count < limit and (out := camera.read(out)) is not None:
            count += 1
        if self.frames is None:
            assert count == limit
        else:
            assert count == self.frames
            assert camera.read(None) is None

    def test_a_closed_camera_delivers_nothing_and_may_be_closed_again(self, camera: Camera) -> None:
        camera.read(None)
        camera.close()
        camera.close()
        assert camera.read(None) is None

    def test_a_close_from_another_thread_ends_a_reader(self, camera: Camera) -> None:
        reading = threading.Event()
        failures: list[BaseException] = []

        def read_on() -> None:
            try:
                out = None
                while (out := camera.read(out)) is not None:
                    reading.set()
            except BaseException as error:
                failures.append(error)
            finally:
                reading.set()

        reader = threading.Thread(target=read_on)
        reader.start()
        assert reading.wait(PATIENCE_S)
        camera.close()
        reader.join(PATIENCE_S)
        assert not reader.is_alive()
        for failure in failures:
            raise failure
