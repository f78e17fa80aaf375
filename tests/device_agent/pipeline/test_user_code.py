"""The pipeline beside user code: filters before inference, hooks elsewhere, and the record of where the time went."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.each import DeliverToEach
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.pipeline import Pipeline
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import InputError
from edgesdk_testkit import hooks
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


def camera(frames: int | None) -> SyntheticCamera:
    return SyntheticCamera(width=32, height=16, frames=frames)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    children = psutil.Process().children()
    yield
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("edgesdk-")], "the threads' end")
    assert psutil.Process().children() == children


def test_what_a_filter_leaves_out_is_counted_with_its_cause() -> None:
    script, seqs = Script(), []

    def on_frame(frame: Frame) -> Any:
        if frame.seq % 4 == 1:
            raise ValueError
        return (frame.image, None, frame.image.copy(), "text")[frame.seq % 4]

    pipeline = Pipeline(
        script.slots(2),
        camera(40),
        on_result=lambda frame: seqs.append(frame.seq),
        policy="every_frame",
        on_frame=on_frame,
    )
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert seqs == [seq for seq in range(40) if seq % 4 in {0, 2}]
    assert stats.dropped == {"filter_failed": 20}
    assert (stats.captured, stats.processed, stats.in_flight) == (40, 20, 0)


def test_a_filter_that_says_no_leaves_the_frame_out() -> None:
    pipeline = Pipeline(Script().slots(2), camera(9), on_result=print, policy="every_frame", on_frame=lambda _: None)
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert pipeline.stats().dropped == {"filtered": 9}


def test_who_gets_the_picture_gets_it_filtered() -> None:
    seen = []

    def grey(frame: Frame) -> Any:
        frame.image[4:] = 7
        return frame.image

    pipeline = Pipeline(
        Script().slots(2),
        camera(5),
        on_result=lambda frame: seen.append(set(np.unique(frame.image[4:]))),
        policy="every_frame",
        keep_image=True,
        on_frame=grey,
    )
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert seen == [{7}] * 5


@pytest.mark.parametrize("isolate", ["thread", "process"])
def test_a_hook_elsewhere_gets_every_frame_of_a_file(
    isolate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hooks.NOTES, str(tmp_path))
    delivery: Delivery = (ThreadDelivery if isolate == "thread" else ProcessDelivery)(hooks.note, queue=2)
    with Pipeline(Script().slots(2), camera(50), on_result=delivery, policy="every_frame", keep_image=True) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    lines = [line.split(" ", 3) for line in hooks.noted(tmp_path)]
    assert [int(line[2]) for line in lines] == list(range(50))
    assert all("(16, 32, 3)" in line[3] for line in lines)
    assert pipeline.stats().callback_errors == 0


@pytest.mark.parametrize("policy", ["every_frame", "freshest"])
def test_a_hook_that_blocks_for_ever_ends_neither_the_pipeline_nor_its_stop(policy: Any) -> None:
    never = threading.Event()
    delivery = ThreadDelivery(lambda _: never.wait(), timeout_s=0.1)
    script = Script()
    pipeline = Pipeline(script.slots(3), camera(None), on_result=delivery, policy=policy).start()
    wait_until(lambda: len(script.inferred) > 300, "frames after the hook began to hang")
    stats = pipeline.stop()
    never.set()
    assert stats.captured == stats.processed + sum(stats.dropped.values())
    counts = delivery.counts()
    assert (counts.hung, counts.delivered, counts.waiting) == (1, 0, 0)
    assert counts.given == stats.processed


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_a_filter_that_raises_what_ends_programs_leaves_no_frame_uncounted(error: BaseException) -> None:
    def on_frame(frame: Frame) -> Any:
        if frame.seq == 3:
            raise error
        return frame.image

    pipeline = Pipeline(
        Script().slots(2), camera(6), on_result=str, policy="every_frame", on_frame=on_frame, on_error=lambda _: None
    ).start()
    assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stop(PATIENCE_S)
    assert stats.in_flight == 0
    cause = "filter_failed" if isinstance(error, SystemExit) else "failed"
    assert stats.dropped[cause] == 1
    assert stats.captured == stats.processed + sum(stats.dropped.values())


def test_a_hook_that_exits_its_thread_gets_the_next_result_all_the_same() -> None:
    def leaves(_result: FrameResult) -> None:
        raise SystemExit(0)

    delivery = ThreadDelivery(leaves)
    with Pipeline(Script().slots(2), camera(20), on_result=delivery, policy="every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert (delivery.counts().failed, delivery.counts().waiting) == (20, 0)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_hook_on_its_own_thread_may_stop_the_pipeline(*, wrapped: bool) -> None:
    pipelines: list[Pipeline] = []
    alive_at_return: list[bool] = []
    begun, asked = threading.Event(), threading.Event()

    def stops(result: FrameResult) -> None:
        if not asked.is_set():
            begun.wait(PATIENCE_S)
            pipelines[0].stop(PATIENCE_S)
            # It only asked: what waits behind this result is not over, and could not be before this returns.
            alive_at_return.append(not pipelines[0].wait(0))
            asked.set()

    delivery: Delivery = ThreadDelivery(stops)
    if wrapped:
        delivery = DeliverToEach([FilteredDelivery(lambda result: result, delivery)])
    pipelines.append(Pipeline(Script().slots(2), camera(None), on_result=delivery, policy="every_frame").start())
    begun.set()
    assert asked.wait(PATIENCE_S / 2)
    assert pipelines[0].wait(PATIENCE_S)
    assert alive_at_return == [True]
    assert pipelines[0].stop(PATIENCE_S).in_flight == 0


def test_a_process_that_cannot_start_is_told_before_any_frame() -> None:
    script = Script()
    pipeline = Pipeline(script.slots(2), camera(5), on_result=ProcessDelivery("edgesdk_testkit.absent:hook"))
    with pytest.raises(InputError, match=r"no module edgesdk_testkit\.absent"):
        pipeline.start()
    assert pipeline.wait(PATIENCE_S)
    pipeline.stop()
    assert script.inferred == []


def test_a_function_with_the_names_of_a_stage_elsewhere_is_a_function_and_what_is_neither_is_refused() -> None:
    def on_frame(frame: Frame) -> Any:
        return frame.image

    on_frame.askers = on_frame.counts = on_frame  # type: ignore[attr-defined]
    seqs: list[int] = []
    with Pipeline(
        Script().slots(2), camera(5), on_result=lambda r: seqs.append(r.seq), policy="every_frame", on_frame=on_frame
    ) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert seqs == list(range(5))
    with pytest.raises(InputError, match="`on_frame` is to be a function"):
        Pipeline(Script().slots(2), camera(5), on_frame=3)  # type: ignore[arg-type]


def test_a_profile_has_every_stage_of_every_frame_and_changes_nothing() -> None:
    profile, results = Timeline(), []

    def run(profile: Timeline | None) -> list[FrameResult]:
        results.clear()
        pipeline = Pipeline(
            Script().slots(2), camera(20), on_result=results.append, policy="every_frame", profile=profile
        )
        with pipeline:
            assert pipeline.wait(PATIENCE_S)
        return list(results)

    plain = [(frame.camera, frame.seq) for frame in run(None)]
    timed = run(profile)
    assert [(frame.camera, frame.seq) for frame in timed] == plain
    spans = profile.spans()
    for stage in ("capture", "preprocess", "infer", "deliver"):
        assert [span.seq for span in spans if span.stage == stage] == list(range(20))
    by = {(span.stage, span.seq): span for span in spans}
    for frame in timed:
        way = [by[stage, frame.seq] for stage in ("capture", "preprocess", "infer", "deliver")]
        edges = [edge for span in way for edge in (span.start_s, span.end_s)]
        assert edges == sorted(edges)
        assert way[0].end_s == frame.captured_at
        assert way[2].end_s - way[2].start_s == pytest.approx(frame.infer_s)
    assert {span.thread.split("-")[1] for span in spans} == {"capture", "preprocess", "infer"}


def test_a_profile_has_on_frame_where_there_is_one_also_with_frames_that_it_leaves_out() -> None:
    profile = Timeline()
    pipeline = Pipeline(
        Script().slots(2), camera(20), on_result=print, policy="every_frame", profile=profile,
        on_frame=lambda frame: None if frame.seq % 4 == 3 else frame.image,
    )  # fmt: skip
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    by = {(span.stage, span.seq): span for span in profile.spans()}
    assert [seq for stage, seq in by if stage == "on_frame"] == list(range(20))
    through = [seq for stage, seq in by if stage == "preprocess"]
    assert through == [seq for seq in range(20) if seq % 4 != 3]
    assert all(by["on_frame", seq].end_s <= by["preprocess", seq].start_s for seq in through)
