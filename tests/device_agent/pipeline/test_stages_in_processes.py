"""Stages in processes of their own: real processes, real faults, and a pipeline that goes on."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery
from edgesdk_agent.delivery.stage_settings import StageSettings, frame_filter
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.results import Regression
from edgesdk_testkit import stages
from edgesdk_testkit.pipelines import Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

FRAMES = 30
# More than a busy machine stands still for. What hangs takes all of it.
TIMEOUT_S = 3.0
TOLD = [
    ("failing", "ValueError: no 3"),
    ("crashed", "at frame 5{whose}: Its process ended with exit code 3."),
    ("failing", "at frame 7{whose}: it returned {wrong}."),
    ("hung", f"at frame 9{{whose}}: It did not return within {TIMEOUT_S:g} s; its process is ended."),
]


def film(frames: int | None = FRAMES) -> SyntheticCamera:
    return SyntheticCamera(width=32, height=16, frames=frames)


def soon(restarts: int = 5) -> RestartBudget:
    return RestartBudget(restarts, backoff=Backoff(0.01, 0.02))


def shared_memory() -> int:
    """Return how many files of shared pictures are open here, and how many are mapped: they have no name in /dev/shm."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # another thread closed it meanwhile
            links.append(str(one.readlink()))
    maps = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    return sum("edgesdk-picture" in line for line in (*links, *maps))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    gc.collect()
    me = psutil.Process()
    shared, children = shared_memory(), set(me.children())
    yield
    # Pictures that are lent go with the pipeline, whose parts know each other.
    for _ in range(100):
        gc.collect()
        if shared_memory() <= shared and set(me.children()) <= children:
            break
        time.sleep(0.05)
    assert shared_memory() <= shared
    assert set(me.children()) <= children  # zombies are children too


class Pictures(Sink):
    """Keeps what the results' pictures were."""

    def __call__(self, result: FrameResult) -> None:
        super().__call__(result)
        assert result.image is not None
        self.seen.append(result.image.copy())

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []


def test_the_model_sees_what_it_would_see_inline() -> None:
    seen = {}
    for isolate in ("inline", "process"):
        sink = Pictures()
        stage = frame_filter(stages.all_kinds, StageSettings(isolate))  # type: ignore[arg-type]
        with make(film(), Script(), sink, "every_frame", keep_image=True, lanes=2, on_frame=stage) as pipeline:
            assert pipeline.wait(PATIENCE_S)
        stats = pipeline.stats()
        assert_accounts(stats)
        assert (stats.dropped, sink.seqs) == ({"filtered": 6}, [n for n in range(FRAMES) if n % 5 != 4])
        assert stage.counts() == DeliveryCounts(delivered=24, filtered=6)
        seen[isolate] = sink.seen
        del sink, pipeline
    assert [one.shape[:2] for one in seen["inline"][:4]] == [(16, 32), (32, 96), (9, 32), (16, 32)]
    assert all(np.array_equal(one, two) for one, two in zip(seen["inline"], seen["process"], strict=True))


def test_a_profile_shows_the_asking_when_it_was() -> None:
    """While the model is busy a frame that had its answer waits for a slot: after it was asked about, and not before."""
    script, profile, sink = Script(gated=True), Timeline(), Sink()
    assert script.gate is not None
    with make(film(5), script, sink, "every_frame", profile=profile, on_frame=frame_filter(
        stages.all_kinds, StageSettings("process")
    )) as pipeline:  # fmt: skip
        wait_until(lambda: len([one for one in profile.spans() if one.stage == "on_frame"]) == 3, "three answers")
        held_from = time.monotonic()
        time.sleep(0.05)
        script.gate.release(100)
        assert pipeline.wait(PATIENCE_S)
    by = {(span.stage, span.seq): span for span in profile.spans()}
    assert [seq for stage, seq in by if stage == "on_frame"] == list(range(5)), "the one that is left out, too"
    assert ("preprocess", 4) not in by
    # Of the third the answer was there, and a slot came with the first one's end only.
    assert by["on_frame", 2].end_s <= held_from < by["preprocess", 2].start_s
    assert {by["on_frame", 2].thread, by["preprocess", 2].thread} == {"edgesdk-preprocess-camera"}


def test_stages_that_fail_lose_just_those_frames_of_that_camera_and_just_those_results() -> None:
    """Two pipelines at once, as what hangs in either takes seconds."""
    heard: list[HookNews] = []
    shown = ProcessFrameFilter(stages.with_faults, timeout_s=TIMEOUT_S, on_news=heard.append, budget=soon)
    frames, cameras = Sink(), {stages.FAULTY: film(), "gate": film()}
    news: list[HookNews] = []
    results, camera = Pictures(), {stages.FAULTY: film()}
    told = ProcessFilteredDelivery(
        stages.doubled, InlineDelivery(results), timeout_s=TIMEOUT_S, queue=4, on_news=news.append, budget=soon()
    )
    with (
        make(cameras, Script(), frames, "every_frame", on_frame=shown) as before,
        make(camera, Script(), told, "every_frame", keep_image=True, lanes=2) as after,
    ):
        assert before.wait(PATIENCE_S)
        assert after.wait(PATIENCE_S)
    _assert_just_those_frames_are_lost(before.stats(), frames, shown, heard)
    _assert_just_those_results_are_lost(after.stats(), results, told, news)


def _assert_just_those_frames_are_lost(
    stats: FrameStats, sink: Sink, stage: ProcessFrameFilter, news: list[HookNews]
) -> None:
    assert_accounts(stats)
    assert sink.of("gate") == list(range(FRAMES))
    assert sink.of(stages.FAULTY) == [n for n in range(FRAMES) if n not in (3, 5, 7, 9)]
    assert stats.dropped == {"filter_failed": 4}
    assert stage.counts() == DeliveryCounts(delivered=2 * FRAMES - 4, failed=3, hung=1)
    assert {(one.hook, one.kind) for one in news} == {("edgesdk_testkit.stages:with_faults", "stage")}
    wrong = "a str, not a picture (H, W, 3) uint8"
    assert [(n.state, n.message) for n in news] == [
        (state, text.format(whose=" of door", wrong=wrong)) for state, text in TOLD
    ]


def _assert_just_those_results_are_lost(
    stats: FrameStats, sink: Pictures, taker: ProcessFilteredDelivery, news: list[HookNews]
) -> None:
    assert_accounts(stats)
    through = [n for n in range(FRAMES) if n not in (3, 5, 7, 9) and n % 7 != 6]
    assert sink.seqs == through, "they are in order"
    assert [one.result.values[0] for one in sink.results if isinstance(one.result, Regression)] == [
        2 * n for n in through
    ]
    assert all(
        (image[-1] == seq).all() and not (image[-2] == 255).all() for seq, image in zip(through, sink.seen, strict=True)
    )
    assert (stats.processed, stats.callback_errors, stats.results_filtered) == (FRAMES, 4, 4)
    assert taker.passed() == DeliveryCounts(delivered=len(through), failed=3, hung=1, filtered=4)
    expected = [(state, text.format(whose="", wrong="a Regression, not a FrameResult")) for state, text in TOLD]
    assert [(n.state, n.message) for n in news] == expected


def test_a_process_killed_from_outside_is_started_again_while_the_model_is_swapped() -> None:
    news: list[HookNews] = []
    stage = ProcessFrameFilter(stages.slow, on_news=news.append, budget=soon)
    sink, before, after = Sink(), Script(), Script()
    with make(film(None), before, sink, "every_frame", on_frame=stage) as pipeline:
        wait_until(lambda: len(sink.results) > 10, "results")
        assert shared_memory(), "what is looked for at the end is seen here"
        (child,) = [one for one in psutil.Process().children() if "edgesdk_testkit.stages:slow" in one.cmdline()]
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: bool(news), "the news")
        pipeline.swap_slots(after.slots(3), PATIENCE_S)
        seen = len(after.inferred)
        wait_until(lambda: len(after.inferred) > seen + 20, "answers of the other model")
    stats = pipeline.stats()
    assert_accounts(stats)
    assert (news[0].state, stats.dropped) == ("crashed", {"filter_failed": 1})
    assert news[0].message.endswith("Its process was ended by SIGKILL.")
    assert sink.seqs == sorted(sink.seqs)


def test_a_stage_that_always_ends_is_given_up_and_nothing_comes_through() -> None:
    news: list[HookNews] = []
    stage = ProcessFrameFilter(stages.ends, on_news=news.append, budget=lambda: soon(1))
    sink = Sink()
    with make({"door": film()}, Script(), sink, "every_frame", on_frame=stage) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        assert pipeline.left_out() == {"door": "edgesdk_testkit.stages:ends"}
    assert (sink.results, pipeline.stats().dropped) == ([], {"filter_failed": FRAMES})
    assert stage.counts() == DeliveryCounts(failed=2, dropped=FRAMES - 2)
    assert [n.state for n in news] == ["crashed", "given_up"]


def test_a_stop_does_not_wait_for_what_hangs() -> None:
    stage = ProcessFrameFilter("edgesdk_testkit.stages:hangs", timeout_s=3600.0)
    pipeline = make({"door": film()}, Script(), Sink(), "every_frame", on_frame=stage).start()
    wait_until(lambda: bool(stage.under_way()), "the hang")
    pipeline.stop(0.1)
    assert_accounts(pipeline.stats())
    assert stage.counts().hung == 1


@pytest.mark.parametrize(("isolate", "ends_with"), [("inline", 3), ("process", 0)])
def test_only_the_process_keeps_the_application_alive(isolate: str, ends_with: int) -> None:
    program = (
        "import sys; from edgesdk_testkit.pipelines import Sink, make; from edgesdk_testkit.slots import Script\n"
        "from edgesdk_agent.cameras.synthetic import SyntheticCamera; import edgesdk; from edgesdk_testkit import stages\n"
        "stage = edgesdk.frame_filter(stages.ends, edgesdk.StageSettings(sys.argv[1]))\n"
        "with make(SyntheticCamera(width=32, height=16, frames=1), Script(), Sink(), on_frame=stage) as pipeline:\n"
        "    pipeline.wait(30)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, isolate], env=environment, timeout=60, capture_output=True, check=False
    )
    assert done.returncode == ends_with, done.stderr
