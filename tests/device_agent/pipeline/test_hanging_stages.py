"""User code that stands in the pipeline's way and does not return: told by name while it hangs, and the rest goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.each import DeliverToEach
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.delivery.watched_calls import user_code_in
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_agent.pipeline.hang_watch import HangWatch
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_testkit.pipelines import Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

TIMEOUT_S = 0.5


class Hanging:
    """A stage that lets everything through, and does not return from one frame of one camera."""

    def __init__(self, camera: str = "door", seq: int = 5) -> None:
        self.at = (camera, seq)
        self.back = threading.Event()
        self.hangs = threading.Event()
        self.seen: list[tuple[str, int]] = []
        self.news: list[HookNews] = []
        self.pictures: list[Any] = []

    def on_frame(self, frame: Frame) -> Any:
        self._pass(frame)
        return frame.image

    def on_result(self, result: FrameResult) -> FrameResult:
        self._pass(result)
        return result

    def _pass(self, one: Frame | FrameResult) -> None:
        self.seen.append((one.camera, one.seq))
        if (one.camera, one.seq) == self.at:
            before = None if one.image is None else one.image.copy()
            self.hangs.set()
            self.back.wait()
            if before is not None and one.image is not None:
                self.pictures += [before, one.image.copy()]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    stage = Hanging()
    yield stage
    stage.back.set()


def film(frames: int | None = 60) -> SyntheticCamera:
    return SyntheticCamera(width=32, height=16, frames=frames)


def filtering(stage: Hanging) -> FrameFilter:
    return FrameFilter(stage.on_frame, name="my.stage", timeout_s=TIMEOUT_S, on_news=stage.news.append)


def keeping(stage: Hanging, sink: Sink) -> DeliverToEach:
    inner = InlineDelivery(sink)
    kept = FilteredDelivery(stage.on_result, inner, name="my.stage", timeout_s=TIMEOUT_S, on_news=stage.news.append)
    return DeliverToEach([kept])


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("which", ["on_frame", "on_result"])
def test_one_cameras_hang_is_told_by_name_and_the_others_lose_nothing(which: str, lanes: int, hanging: Hanging) -> None:
    sink, cameras = Sink(), {"door": film(), "gate": film(), "yard": film()}
    more: dict[str, Any] = {"on_frame": filtering(hanging)} if which == "on_frame" else {}
    taker: Any = sink if which == "on_frame" else keeping(hanging, sink)
    with make(cameras, Script(), taker, "every_frame", lanes=lanes, **more) as pipeline:
        assert pipeline.wait(PATIENCE_S), "the pipeline goes on to its end although one call never returns"
        assert not hanging.back.is_set()
        stats = pipeline.stats()
    assert sink.of("gate") == sink.of("yard") == list(range(60))
    assert sink.of("door") == [seq for seq in sink.of("door") if seq != 5]
    assert hanging.seen.count(("door", 5)) == 1
    assert_accounts(stats)
    (news,) = hanging.news
    assert (news.hook, news.state, news.kind) == ("my.stage", "hung", "stage")
    assert "frame 5 of door" in news.message
    lost = 60 - len(sink.of("door"))
    assert lost >= 1
    if which == "on_frame":
        assert stats.dropped == {"filter_failed": lost}
    else:
        assert (stats.processed, stats.callback_errors, stats.results_dropped) == (180, 1, lost - 1)


@pytest.mark.parametrize("which", ["on_frame", "on_result"])
def test_a_camera_comes_back_with_its_call(which: str, hanging: Hanging) -> None:
    sink = Sink()
    more: dict[str, Any] = {"on_frame": filtering(hanging)} if which == "on_frame" else {}
    taker: Any = sink if which == "on_frame" else keeping(hanging, sink)
    with make({"door": film(None)}, Script(), taker, "freshest", keep_image=True, **more) as pipeline:
        # A freshest camera may have no frame 5; then the hang begins with the next one that is asked about.
        wait_until(lambda: bool(hanging.seen), "the first call")
        hanging.at = ("door", hanging.seen[-1][1])

        def begins() -> bool:
            hanging.at = ("door", hanging.seen[-1][1] + 1)
            return hanging.hangs.wait(0.001)

        wait_until(begins, "the hang")
        wait_until(lambda: bool(hanging.news), "the news")
        told_at = pipeline.stats().captured
        wait_until(lambda: pipeline.stats().captured > told_at + 50, "the results of frames before")
        held, results = len(hanging.seen), len(sink.results)
        captured = pipeline.stats().captured
        wait_until(lambda: pipeline.stats().captured > captured + 200, "frames that are captured meanwhile")
        assert (len(hanging.seen), len(sink.results)) == (held, results), "nothing of this camera is shown or told"
        hanging.back.set()
        wait_until(lambda: len(sink.results) > results + 50, "results after it came back")
    before, after = hanging.pictures[:2]
    assert np.array_equal(before, after), "the picture was the stage's own until it returned"
    stats = pipeline.stats()
    assert_accounts(stats)
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("edgesdk-")]
    wait_until(lambda: not any(thread.name.startswith("edgesdk-") for thread in threading.enumerate()), str(threads))


def test_all_cameras_may_hang_and_the_pipeline_still_stops(hanging: Hanging) -> None:
    cameras = {name: film(None) for name in ("a", "b", "c")}
    stage = FrameFilter(lambda _: hanging.back.wait() or None, timeout_s=TIMEOUT_S)
    sink = Sink()
    with make(cameras, Script(), sink, "freshest", on_frame=stage) as pipeline:
        wait_until(lambda: stage.counts().hung == 3, "a hang of each")
    assert_accounts(pipeline.stats())
    assert sink.results == []


def test_how_long_a_plain_function_may_take_is_said_by_the_pipeline(hanging: Hanging) -> None:
    cameras, sink = {"door": film(), "gate": film()}, Sink()
    more: dict[str, Any] = {"on_frame": hanging.on_frame, "stage_timeout_s": TIMEOUT_S}
    with make(cameras, Script(), sink, "every_frame", **more) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.of("gate") == list(range(60))
    for wrong in (0, -1, float("nan"), "5"):
        with pytest.raises(InputError, match=r"cannot have .* s for a call") as raised:
            make(film(), Script(), sink, on_frame=hanging.on_frame, stage_timeout_s=wrong)
        assert "stage_timeout_s" in raised.value.hint


def test_a_stage_that_is_quick_enough_is_never_told(hanging: Hanging) -> None:
    hanging.at = ("nobody", 0)
    slow = FrameFilter(
        lambda frame: hanging.back.wait(TIMEOUT_S / 10) or frame.image,
        timeout_s=TIMEOUT_S * 20,
        on_news=hanging.news.append,
    )
    sink = Sink()
    with make(film(20), Script(), sink, "every_frame", on_frame=slow) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert (sink.seqs, hanging.news) == ([*range(20)], [])


def test_an_inline_hook_that_hangs_is_told_while_it_does_and_keeps_its_thread(hanging: Hanging) -> None:
    took: list[tuple[int, str]] = []

    def hook(result: FrameResult) -> None:
        hanging.on_result(result)
        took.append((result.seq, threading.current_thread().name))

    hanging.at = ("camera", 5)
    delivery = InlineDelivery(hook, name="mine", timeout_s=TIMEOUT_S, on_news=hanging.news.append)
    with make(film(), Script(), delivery, "every_frame") as pipeline:
        wait_until(lambda: bool(hanging.news), "the news")
        assert (hanging.news[0].hook, hanging.news[0].state) == ("mine", "hung")
        assert "frame 5 of camera" in hanging.news[0].message
        hanging.back.set()
        assert pipeline.wait(PATIENCE_S)
    assert [seq for seq, _ in took] == list(range(60))
    assert len({thread for _, thread in took}) == 1
    assert len(hanging.news) == 1, "one hang is told once"


def test_a_stop_names_the_hook_that_does_not_return(hanging: Hanging) -> None:
    hanging.at = ("camera", 5)
    pipeline = make(film(), Script(), InlineDelivery(hanging.on_result, name="mine"), "every_frame").start()
    assert hanging.hangs.wait(PATIENCE_S)
    with pytest.raises(SessionFailed, match="did not stop") as raised:
        pipeline.stop(0.1)
    assert raised.value.hint.startswith("mine does not return")


def test_only_user_code_that_nobody_else_watches_costs_a_thread() -> None:
    apart = [
        ProcessFrameFilter("a:b"),
        ProcessFilteredDelivery("a:b", ThreadDelivery(print)),
        ThreadDelivery(print),
    ]
    for also, threads in (((), 0), ((FrameFilter(lambda frame: frame.image),), 1)):
        crew = Crew(on_failure=print, on_capture_end=print, on_last_result=print)
        watch = HangWatch([code for one in (*apart, *also) for code in user_code_in(one)], crew)
        watch.start()
        assert [one.name for one in threading.enumerate()].count("edgesdk-hangs") == threads
        assert (watch.under_way(), watch.left_out()) == ([], {})
        crew.over.set()
