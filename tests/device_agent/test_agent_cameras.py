"""What the agent makes of cameras that fail: some are waited for, and some say that the configuration is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from edgesdk_agent import early_cameras
from edgesdk_agent.agent_cameras import AgentCameras
from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.config.camera import CameraSection
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_targets.errors import CameraLost, EdgeError, InputError
from edgesdk_testkit.slots import PATIENCE_S

Openers = dict[str, Callable[[], Camera]]


class Decoded(SyntheticCamera):
    """A camera that says what decodes it, once it is open."""

    def __init__(self) -> None:
        super().__init__(width=70, height=50)
        self._info = self._info.__class__(70, 50, 30.0, live=True, description="rtsp://there", decoder="silicon")


def raises(error: EdgeError) -> Callable[[], Camera]:
    def opener() -> Camera:
        raise error

    return opener


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., AgentCameras]:
    def make(openers: Openers, **section: Any) -> AgentCameras:
        def open_camera(source: Any, *, must_open: bool, **_: object) -> Camera:
            assert not must_open
            opener = openers[source.reveal()]
            return SupervisedCamera(lambda _: opener(), must_open=must_open, wait=lambda _: True)

        monkeypatch.setattr(early_cameras, "open_camera", open_camera)
        sections = tuple(CameraSection(name=name, source=name, **section) for name in openers)  # type: ignore[arg-type]
        stack = ExitStack()
        request.addfinalizer(stack.close)
        by_name = early_cameras.early_cameras(sections, stack)
        one_must = any(section.require_at_start for section in sections)
        return AgentCameras(by_name, None, CountRegistry(), one_must_answer=one_must)

    return make


def read(cameras: AgentCameras, name: str) -> EdgeError | None:
    try:
        cameras.by_name[name].read(None)
    except FrameLost:
        return None
    except EdgeError as error:
        return error
    return None


def test_until_every_camera_was_tried_one_may_still_answer(made: Callable[..., AgentCameras]) -> None:
    gone = raises(CameraLost("Nothing answers."))
    cameras = made({"a": gone, "b": gone})
    assert cameras.none_answers() is None
    read(cameras, "a")
    assert cameras.none_answers() is None
    read(cameras, "b")
    assert cameras.none_answers() is not None
    assert {name: one.state for name, one in cameras.reports.health().items()} == {"a": "offline", "b": "offline"}


def test_where_none_must_answer_all_are_waited_for(made: Callable[..., AgentCameras]) -> None:
    cameras = made({"a": raises(CameraLost("Nothing answers."))}, require_at_start=False)
    read(cameras, "a")
    assert cameras.none_answers() is None


def test_a_source_that_can_never_be_opened_is_a_fault_of_the_configuration(made: Callable[..., AgentCameras]) -> None:
    cameras = made({"a": Decoded, "wrong": raises(InputError("It cannot be parsed.")), "gone": raises(CameraLost("!"))})
    error = read(cameras, "wrong")
    assert error is not None
    assert cameras.given_up("wrong", error)
    assert not cameras.given_up("gone", CameraLost("Nothing answers."))
    # Of one that has brought pictures it is this camera's own trouble.
    read(cameras, "a")
    assert not cameras.given_up("a", InputError("Its picture is too small."))


def test_who_decodes_is_said_once_it_is_known(made: Callable[..., AgentCameras]) -> None:
    asked, said = threading.Event(), list[str]()

    def opener() -> Camera:
        # It is opened early: where it answers before anybody looks, its decoder is no news.
        assert asked.wait(PATIENCE_S)
        return Decoded()

    cameras = made({"a": opener})
    cameras.announce_to(lambda: said.append(cameras.by_name["a"].info.decoder))
    asked.set()
    read(cameras, "a")
    read(cameras, "a")
    assert said == ["silicon"]
