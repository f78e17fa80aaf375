"""A live camera is opened while the model loads: what came meanwhile is old and left out, and what went wrong is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera, read_stamp
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.slots import PATIENCE_S, wait_until


class Stepped(SyntheticCamera):
    """Gives its next picture when it is told to."""

    def __init__(self, *, fails_at: dict[int, BaseException] | None = None) -> None:
        super().__init__(width=70, height=50)
        self.may = threading.Semaphore(0)
        self.reads = 0
        self._fails_at = fails_at or {}

    def read(self, out: Array | None) -> Array | None:
        assert self.may.acquire(timeout=PATIENCE_S)
        self.reads += 1
        if self.reads in self._fails_at:
            raise self._fails_at[self.reads]
        return super().read(out)

    def close(self) -> None:
        super().close()
        self.may.release(100)


def supervised(opener: Callable[[], Camera]) -> SupervisedCamera:
    return SupervisedCamera(lambda _: opener(), must_open=False, wait=lambda _: False, description="the gate")


def first_picture(camera: SupervisedCamera, inner: Stepped) -> Array:
    """Read while the picture is under way, as the pipeline does once the model is there."""
    found: list[Array | None] = []
    reader = threading.Thread(target=lambda: found.append(camera.read(None)))
    reader.start()
    inner.may.release()
    reader.join(PATIENCE_S)
    assert found
    assert found[0] is not None
    return found[0]


def test_the_first_read_gets_the_picture_that_comes_then_and_not_what_waited() -> None:
    inner = Stepped()
    camera = supervised(lambda: inner)
    camera.open_early()
    inner.may.release(5)
    wait_until(lambda: inner.reads == 5, "five pictures to be thrown away")
    assert camera.state == "connecting", "nobody has read it yet"
    assert read_stamp(first_picture(camera, inner)) >= 5
    assert camera.state == "online"
    inner.may.release()
    picture = camera.read(None)
    assert picture is not None
    assert read_stamp(picture) == inner.reads - 1
    camera.close()


def test_without_it_the_first_read_gets_the_oldest_picture() -> None:
    # Negative control: what the early opening is for.
    inner = Stepped()
    camera = supervised(lambda: inner)
    inner.may.release(5)
    picture = camera.read(None)
    assert picture is not None
    assert read_stamp(picture) == 0
    camera.close()


def test_one_that_does_not_answer_is_absent_from_the_first_read_on_and_tried_again() -> None:
    inner, tries = Stepped(), 0

    def opener() -> Camera:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise CameraLost("Nothing answers.")
        return inner

    camera = supervised(opener)
    camera.open_early()
    wait_until(lambda: tries == 1, "the early attempt")
    told: list[str] = []
    camera.on_change = lambda health: told.append(health.state)
    with pytest.raises(FrameLost, match="answers now"):
        camera.read(None)
    assert told == ["offline"]
    assert camera.absent is None
    inner.may.release()
    assert camera.read(None) is not None
    assert told == ["offline", "online"]
    camera.close()


def test_one_that_is_lost_before_anybody_reads_is_opened_again() -> None:
    lives = [Stepped(fails_at={2: CameraLost("It stopped.")}), Stepped()]
    opened: list[Stepped] = []

    def opener() -> Camera:
        opened.append(lives[len(opened)])
        return opened[-1]

    camera = supervised(opener)
    camera.open_early()
    lives[0].may.release(2)
    wait_until(lambda: lives[0].reads == 2, "the loss")
    with pytest.raises(FrameLost, match="is back"):
        camera.read(None)
    assert len(opened) == 2
    camera.close()


def test_a_picture_that_is_lost_meanwhile_is_nobodys() -> None:
    inner = Stepped(fails_at={2: FrameLost("Damaged.", cause="unreadable")})
    camera = supervised(lambda: inner)
    camera.open_early()
    inner.may.release(3)
    wait_until(lambda: inner.reads == 3, "the picture after it")
    assert read_stamp(first_picture(camera, inner)) >= 2
    camera.close()


def test_a_wrong_option_is_the_first_readers() -> None:
    def opener() -> Camera:
        raise InputError("There is no such decoder.")

    camera = supervised(opener)
    camera.open_early()
    with pytest.raises(InputError, match="no such decoder"):
        camera.read(None)


def test_one_that_is_closed_before_it_answers_gives_nothing() -> None:
    gate, inner = threading.Event(), Stepped()

    def opener() -> Camera:
        assert gate.wait(PATIENCE_S)
        return inner

    camera = supervised(opener)
    camera.open_early()
    camera.close()
    assert camera.read(None) is None
    gate.set()
    wait_until(inner._closed.is_set, "what was opened too late to be closed")


def test_one_whose_driver_hangs_before_anybody_reads_is_shown_to_hang() -> None:
    class Hanging(Stepped):
        def __init__(self) -> None:
            super().__init__()
            self.asked = threading.Event()

        def read(self, out: Array | None) -> Array | None:
            self.asked.set()
            return super().read(out)

    inner, now = Hanging(), [0.0]
    camera = SupervisedCamera(
        lambda _: inner, must_open=False, wait=lambda _: False, description="the gate", clock=lambda: now[0]
    )
    camera.open_early()
    assert inner.asked.wait(PATIENCE_S)
    now[0] = 1000.0
    assert camera.state == "connecting", "the model is loading, and nobody waits for it"
    reader = threading.Thread(target=camera.read, args=(None,))
    reader.start()

    def hangs() -> bool:
        now[0] += 1000.0
        return camera.health.cause == "hung"

    wait_until(hangs, "a reader that hangs")
    inner.may.release()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert camera.health.cause != "hung"
    camera.close()


def test_one_whose_pictures_are_its_own_memory_is_only_opened() -> None:
    class Lending(Stepped):
        def lend_pictures(self) -> None:
            """Nothing to do."""

    inner, opened = Lending(), threading.Event()

    def opener() -> Camera:
        opened.set()
        return inner

    camera = supervised(opener)
    camera.open_early()
    assert opened.wait(PATIENCE_S)
    inner.may.release()
    picture = camera.read(None)
    assert picture is not None
    assert (read_stamp(picture), inner.reads) == (0, 1)
    camera.close()
