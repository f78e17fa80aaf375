"""The governor on a real pipeline: a model that is slow for a while, real frames, and the age held by skipping."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.governor.decide import GovernorTimes
from edgesdk_agent.governor.governor import Governor, GovernorSettings
from edgesdk_agent.governor.ladder import Plan, Rung
from edgesdk_agent.governor.pipeline_actuator import PipelineActuator
from edgesdk_agent.governor.strain import StrainMarks, strain_of
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_targets.errors import InputError
from edgesdk_testkit.slots import Script, wait_until

GB = 10**9
CALM = Facts(
    at=0.0, uptime_s=1.0, age_p95_ms=100.0, temperature_c=50.0, memory_available_bytes=2 * GB, memory_total_bytes=4 * GB,
    rss_bytes=GB, memory_limit_bytes=4 * GB, system_cpu_percent=99.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"age_p95_ms": 1000.0}, "age"),
        ({"temperature_c": 80.0}, "temperature"),
        ({"throttled": ("too little voltage",)}, "voltage"),
        ({"memory_available_bytes": GB // 5}, "memory left"),
        ({"rss_bytes": int(3.7 * GB)}, "memory of the agent"),
        ({"age_p95_ms": 700.0}, "processor"),
    ],
)
def test_each_strain_presses_and_calms_only_beyond_its_second_mark(changes: dict[str, object], word: str) -> None:
    assert strain_of(CALM, 1000.0, StrainMarks()).calm
    strain = strain_of(replace(CALM, **changes), 1000.0, StrainMarks())  # type: ignore[arg-type]
    assert any(word in said for said in strain.presses)
    assert not strain.calm
    between = strain_of(replace(CALM, temperature_c=75.0), 1000.0, StrainMarks())
    assert (between.presses, between.calm) == ((), False)


def test_frames_are_left_out_and_counted_and_come_back() -> None:
    camera = open_camera("synthetic:?width=64&height=48&fps=200", live=True)
    script = Script()
    told: list[str] = []
    with Pipeline(script.slots(3), camera, on_result=lambda _: None, on_error=lambda _: None) as pipeline:
        actuator = PipelineActuator(
            pipeline, lambda: {"camera": 200.0}, (), None, lambda name, *_, **__: told.append(name)
        )
        settings = GovernorSettings(
            ladder=(Rung("none at all", rate=0.001),), times=GovernorTimes(engage_after_s=0, settle_s=0, patience_s=1)
        )
        governor = Governor(settings, actuator, lambda name, *_, **__: told.append(name))
        wait_until(lambda: pipeline.stats().processed > 5, "results")
        governor.look(replace(CALM, at=1.0, temperature_c=90.0))
        assert governor.in_force == ["none at all"]
        wait_until(lambda: pipeline.stats().dropped.get("governed", 0) > 20, "frames that were left out")
        governor.look(replace(CALM, at=2.0))
        governor.look(replace(CALM, at=4.0))
        assert governor.in_force == []
        before = pipeline.stats().processed
        wait_until(lambda: pipeline.stats().processed > before + 5, "results again")
        stats = pipeline.stop()
    assert told == ["governor_down", "governor_up"]
    assert governor.counts() == {"down": 1, "up": 1}
    assert stats.captured == stats.processed + sum(stats.dropped.values())


def test_a_camera_that_is_not_there_cannot_be_limited() -> None:
    camera = open_camera("synthetic:?frames=1")
    with (
        Pipeline(Script().slots(2), camera, on_result=lambda _: None) as pipeline,
        pytest.raises(InputError, match="yard"),
    ):
        pipeline.limit_rate("yard", 1.0)


class _Unlimited:
    def limit_rate(self, camera: str, fps: float | None) -> None: ...


class _Loaded:
    def __init__(self, name: str, closed: list[str]) -> None:
        self._name, self._closed = name, closed

    def __enter__(self) -> _Loaded:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.append(self._name)


@pytest.mark.parametrize("idle", [True, False])
def test_what_was_loaded_is_closed_once_also_when_another_model_of_the_start_came_meanwhile(idle: bool) -> None:
    closed: list[str] = []
    actuator = PipelineActuator(_Unlimited(), dict, (), lambda _, name: _Loaded(name, closed), lambda *_, **__: None)
    actuator.apply(Plan(variant="int8"))
    wait_until(lambda: not actuator.busy, "the change")
    actuator.begin_again(close=idle)
    # Its last frame may be in it.
    assert closed == (["int8"] if idle else [])
    actuator.close()
    actuator.close()
    assert closed == ["int8"]


def test_a_model_is_changed_on_a_thread_of_its_own_and_a_failure_is_told() -> None:
    closed: list[str] = []
    told: list[str] = []

    def swap(bundle: str, variant: str) -> _Loaded:
        if variant == "broken":
            raise InputError("it does not load")
        return _Loaded(variant, closed)

    actuator = PipelineActuator(_Unlimited(), dict, (), swap, lambda name, *_, **__: told.append(name))
    for plan in (Plan(variant="int8"), Plan(variant="broken"), Plan()):
        actuator.apply(plan)
        wait_until(lambda: not actuator.busy, "the change")
    actuator.close()
    assert told == ["governor_failed"]
    assert closed == ["int8", ""]
