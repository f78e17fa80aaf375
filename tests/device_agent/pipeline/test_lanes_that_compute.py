"""Lanes that do a runtime's work themselves, one on each core: no thread beside them takes a core from one."""

from __future__ import annotations

import os

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.pipeline.policy import Policy, lanes_prepare, lanes_wanted, slots_wanted
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, accounted, make
from edgesdk_testkit.slots import PATIENCE_S, Prepared, wait_until

FRAMES = 60
# Slower than what counts as quick, for which lanes prepare too.
INFER_S = 0.002


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})


@pytest.mark.parametrize(("lanes", "by"), [(2, "infer"), (3, "infer"), (1, "preprocess")])
def test_lanes_on_every_core_prepare_what_they_infer(lanes: int, by: str) -> None:
    script, sink = Prepared(infer_s=INFER_S, on_caller=True), Sink()
    with make(ScriptedCamera(FRAMES), script, sink, "every_frame", lanes=lanes) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    # What is there before a lane is, and what is left when the film has ended, the thread for it prepares.
    assert script.by[by] > FRAMES // 2, script.by
    assert sum(script.by.values()) == FRAMES
    assert sink.seqs == list(range(FRAMES))


@pytest.mark.parametrize(
    ("policy", "on_caller"), [("every_frame", False), ("freshest", True)], ids=["runtimes-own-threads", "live"]
)
def test_a_thread_prepares_beside_a_runtimes_own_threads_and_for_live_cameras(policy: Policy, on_caller: bool) -> None:
    # Negative controls.
    script, sink = Prepared(infer_s=INFER_S, on_caller=on_caller), Sink()
    with make(PacedCamera(ScriptedCamera(FRAMES), 300), script, sink, policy, lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    assert not script.by["infer"]


def test_several_films_take_turns_and_none_is_left_lying() -> None:
    script, sink = Prepared(infer_s=INFER_S, on_caller=True), Sink()
    films = {name: PacedCamera(ScriptedCamera(FRAMES), fps) for name, fps in (("a", 150), ("b", 260), ("c", 1000))}
    with make(films, script, sink, "every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    assert [sink.of(name) for name in films] == [list(range(FRAMES))] * 3


def test_another_model_that_takes_over_is_prepared_for_in_its_own_way() -> None:
    computing, own_threads, sink = Prepared(infer_s=INFER_S, on_caller=True), Prepared(infer_s=INFER_S), Sink()
    again = Prepared(infer_s=INFER_S, on_caller=True)
    count = slots_wanted(("every_frame",), 2)
    with make(ScriptedCamera(None), computing, sink, "every_frame", lanes=2) as pipeline:
        wait_until(lambda: computing.by["infer"] > 10, "lanes to prepare")
        pipeline.swap_slots(own_threads.slots(count), PATIENCE_S, lanes=2)
        wait_until(lambda: own_threads.by["preprocess"] > 10, "the thread to prepare")
        pipeline.swap_slots(again.slots(count), PATIENCE_S, lanes=2)
        wait_until(lambda: again.by["infer"] > 10, "lanes to prepare again")
        stats = pipeline.stop(PATIENCE_S)
    assert sink.seqs == list(range(stats.captured))


def test_one_lane_more_than_there_are_streams_is_for_those_that_only_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    films: tuple[Policy, ...] = ("every_frame", "every_frame")
    assert lanes_wanted(films, 2) == 3
    assert lanes_wanted(films, 2, on_caller=True) == 2
    assert lanes_prepare(0, 2, on_caller=True, ahead=False)
    assert not lanes_prepare(0, 2, on_caller=False, ahead=False)
    assert not lanes_prepare(1, 2, on_caller=True, ahead=False)
    assert not lanes_prepare(0, 1, on_caller=True, ahead=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    assert lanes_wanted(films, 2, on_caller=True) == 3, "cores are free for it"
    assert not lanes_prepare(0, 2, on_caller=True, ahead=False)
