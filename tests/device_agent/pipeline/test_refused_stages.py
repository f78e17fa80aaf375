"""Stages in processes that cannot be had: each is refused, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.stage_settings import StageSettings, filtered_delivery, frame_filter
from edgesdk_targets.errors import InputError
from edgesdk_testkit.pipelines import Sink, make
from edgesdk_testkit.slots import Script


def film() -> SyntheticCamera:
    return SyntheticCamera(width=32, height=16, frames=30)


@pytest.mark.parametrize("where", ["on_frame", "on_result"])
def test_a_stage_that_is_not_there_is_said_at_the_start(where: str) -> None:
    settings, name = StageSettings("process"), "edgesdk_testkit.stages:absent"
    more: dict[str, Any] = {"on_frame": frame_filter(name, settings)} if where == "on_frame" else {}
    taker: Any = Sink() if where == "on_frame" else filtered_delivery(name, Sink(), settings)
    with pytest.raises(InputError, match=r"edgesdk_testkit\.stages has no absent"):
        make({"a": film(), "b": film()}, Script(), taker, "every_frame", **more).start()


def test_a_second_pipeline_with_a_stage_is_refused() -> None:
    stage = frame_filter("edgesdk_testkit.stages:slow", StageSettings("process"))
    make({"door": film()}, Script(), Sink(), "every_frame", on_frame=stage).stop()
    with pytest.raises(InputError, match=r"edgesdk_testkit\.stages:slow is of one pipeline"):
        make({"gate": film()}, Script(), Sink(), "every_frame", on_frame=stage)


def test_what_cannot_be_run_is_refused() -> None:
    for settings in ({"isolate": "thread"}, {"timeout_s": 0.0}, {"queue": 0}, {"when_full": "auto"}):
        with pytest.raises(InputError):
            StageSettings(**settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no name by which another process"):
        frame_filter(lambda frame: frame.image, StageSettings("process"))
