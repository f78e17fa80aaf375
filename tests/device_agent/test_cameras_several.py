"""Several cameras are opened at the same time, and one that does not answer holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.late_recording import LateRecording
from edgesdk_agent.cameras.several import none_answers, open_cameras, unopened_cameras
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_targets.errors import CameraLost, InputError


def live(opener: Callable[[], Camera]) -> Callable[[bool], Camera]:
    return lambda must_open: SupervisedCamera(lambda _: opener(), must_open=must_open)


def picture() -> Camera:
    return SyntheticCamera(width=70, height=50)


def dead() -> Camera:
    raise CameraLost("Nothing answers.")


def unknown(_: bool) -> Camera:
    raise InputError("There is no such source.")


def test_all_are_opened_at_the_same_time() -> None:
    # Each waits for all the others: one after the other, none would ever be open.
    together = threading.Barrier(3)

    def slow() -> Camera:
        together.wait(30)
        return picture()

    cameras = open_cameras({name: live(slow) for name in "abc"})
    assert [camera.info.width for camera in cameras.values()] == [70, 70, 70]


def test_one_that_does_not_answer_is_absent_and_none_is_an_error() -> None:
    cameras = open_cameras({"gone": live(dead), "belt": live(picture)})
    assert cameras["belt"].info.width == 70
    assert none_answers(cameras) is None
    assert isinstance(gone := cameras["gone"], SupervisedCamera)
    assert gone.absent is not None
    with pytest.raises(CameraLost, match="Nothing answers"):
        open_cameras({"gone": live(dead), "away": live(dead)})
    assert open_cameras({}) == {}


def test_where_one_cannot_be_the_others_are_closed() -> None:
    closed = threading.Event()

    class Closing(SyntheticCamera):
        def close(self) -> None:
            super().close()
            closed.set()

    with pytest.raises(InputError, match="no such source"):
        open_cameras({"belt": lambda _: Closing(width=70, height=50), "what": unknown})
    assert closed.wait(30)
    with pytest.raises(InputError, match="no such source"):
        unopened_cameras({"belt": live(dead), "what": unknown})


def test_unopened_nothing_is_waited_for_and_the_first_attempt_tells() -> None:
    cameras = unopened_cameras({"gone": live(dead), "away": live(dead)})
    assert none_answers(cameras) is None
    for camera in cameras.values():
        assert isinstance(camera, SupervisedCamera)
        camera.open_now()
    assert none_answers(cameras) is not None


def test_a_recording_from_afar_is_opened_by_its_first_read() -> None:
    opened: list[Camera] = []

    def opener() -> Camera:
        opened.append(picture())
        return opened[0]

    late = LateRecording(opener, "http://there/film.mp4", CameraCounts())
    assert (opened, late.health.state, late.info.description) == ([], "connecting", "http://there/film.mp4")
    assert late.read(None) is not None
    assert (len(opened), late.health.state, late.info.width) == (1, "online", 70)
    late.close()
    assert late.read(None) is None
    with pytest.raises(CameraLost):
        LateRecording(dead, "x", CameraCounts()).read(None)


def test_a_recording_that_is_closed_while_it_opens_is_closed_once_it_is_open() -> None:
    opening, answers, closed = threading.Event(), threading.Event(), threading.Event()

    class Closing(SyntheticCamera):
        def close(self) -> None:
            super().close()
            closed.set()

    def opener() -> Camera:
        opening.set()
        answers.wait(30)
        return Closing(width=70, height=50)

    late = LateRecording(opener, "x", CameraCounts())
    reader = threading.Thread(target=late.read, args=(None,))
    reader.start()
    assert opening.wait(30)
    late.close()
    reader.join(30)
    assert not reader.is_alive()
    answers.set()
    assert closed.wait(30)
