"""Threads that user code held and that were let go: told from others that have ended, waited for by nobody, and not kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery import tally
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.stage_thread import StageThread
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.results import Regression
from edgesdk_testkit.pipelines import Sink, assert_accounts, make, no_threads_left
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

TIMEOUT_S = 0.1


class _FailsThenWaits:
    """A model of which the first frame fails after the second was answered, so that its lane delivers the second's result."""

    def __init__(self) -> None:
        self.second = threading.Event()

    def slots(self) -> list[Any]:
        return [_OneOfTwo(self) for _ in range(4)]


class _OneOfTwo:
    def __init__(self, model: _FailsThenWaits) -> None:
        self._model = model

    def prepare(self, image: Any) -> None: ...

    def infer(self, _camera: str, seq: int) -> Regression:
        if seq == 1:
            self._model.second.set()
            return Regression(np.zeros(1, np.float32))
        assert self._model.second.wait(PATIENCE_S)
        # The other lane puts its result down behind this one's.
        time.sleep(0.2)
        raise ValueError("the model's own")


class Waits:
    """A stage that waits for the next event, and whose successor waits for the one after."""

    def __init__(self, mine: threading.Event, *others: threading.Event) -> None:
        self.mine, self.others = mine, others

    def run(self) -> None:
        self.mine.wait()

    def end(self) -> None: ...

    def successor(self) -> Waits:
        return Waits(*self.others)

    def abandon(self) -> None: ...

    def await_rest(self) -> None: ...


@pytest.fixture
def back() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def crew() -> Crew:
    return Crew(on_failure=lambda *_: None, on_capture_end=lambda _: None, on_last_result=lambda: None)


def test_a_thread_is_not_taken_for_one_that_ended_and_had_its_identity(
    back: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, over = crew(), threading.Event()
    over.set()
    ended = threads.add("capture", "film", Waits(over))
    held = threads.add("preprocess", "", Waits(back, back))
    threads.start()
    ended.join(PATIENCE_S)
    assert held.ident is not None
    # As the system does where the one began after the other had ended.
    monkeypatch.setattr(ended._thread, "_ident", held.ident)
    assert threads.replace(held.ident), "the one that is alive is meant"
    assert held.replaced


def test_what_was_let_go_and_came_back_is_not_kept_and_its_time_still_counts() -> None:
    threads = crew()
    held = [threading.Event() for _ in range(5)]
    first = threads.add("preprocess", "", Waits(*held))
    threads.start()
    known = [first]
    for event in held[:-1]:
        ident = known[-1].ident
        assert ident is not None
        assert threads.replace(ident)
        known += [one for one in threads.alive() if one not in known]
        event.set()
        known[-2].join(PATIENCE_S)
    assert len(known) == 5
    assert len(threads._threads) <= 2, "the one at work, and at most the last that came back"
    assert threads.cpu_s()["preprocess"] >= sum(one.cpu_s() for one in known[:-1]) > 0
    held[-1].set()
    assert threads.join(PATIENCE_S)


def test_a_stop_does_not_wait_for_a_thread_that_is_let_go_meanwhile(back: threading.Event) -> None:
    hangs = threading.Event()

    def stage(frame: Frame) -> Any:
        hangs.set()
        back.wait()
        return frame.image

    seen = FrameFilter(stage, timeout_s=TIMEOUT_S * 5)
    camera = SyntheticCamera(width=32, height=16, frames=None)
    pipeline = make(camera, Script(), Sink(), "freshest", on_frame=seen).start()
    wait_until(hangs.is_set, "the hang")
    began = time.monotonic()
    pipeline.stop(PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2, "it took the stage's time-out, not all of the time to stop"
    assert seen.counts().hung == 1


def test_a_stage_is_not_well_again_while_a_camera_is_left_out(
    back: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "_WELL_AFTER_S", 0.0)
    news: list[str] = []

    def told(one: HookNews) -> None:
        news.append(one.state)
        if one.state == "hung":
            raise OSError("whoever is told may fail, and the next hang is looked for all the same")

    def stage(frame: Frame) -> Any:
        if frame.camera != "gate":
            back.wait()
        return frame.image

    seen = FrameFilter(stage, timeout_s=TIMEOUT_S, on_news=told)
    cameras = {name: SyntheticCamera(width=32, height=16, frames=None) for name in ("door", "gate", "yard")}
    sink = Sink()
    with make(cameras, Script(), sink, "freshest", on_frame=seen) as pipeline:
        wait_until(lambda: len(pipeline.left_out()) == 2, "both hangs")
        results = len(sink.results)
        wait_until(lambda: len(sink.results) > results + 100, "results of the other camera")
        assert pipeline.left_out() == {"door": "on_frame", "yard": "on_frame"}
        assert news == ["hung"]
        monkeypatch.setattr(seen, "_function", lambda frame: frame.image)
        back.set()
        wait_until(lambda: not pipeline.left_out(), "the calls' return")
        wait_until(lambda: "well" in news, "the all-clear")


def test_whoever_is_told_may_raise_and_further_hangs_are_told_all_the_same(back: threading.Event) -> None:
    told: list[str] = []

    def on_news(news: HookNews) -> None:
        told.append(news.state)
        raise ValueError(news.state)

    stage = FrameFilter(lambda _: back.wait() or None, timeout_s=TIMEOUT_S, on_news=on_news)
    cameras = {name: SyntheticCamera(width=32, height=16, frames=None) for name in ("a", "b")}
    with make(cameras, Script(), Sink(), "freshest", on_frame=stage) as pipeline:
        wait_until(lambda: stage.counts().hung == 2, "a hang of each")
        assert pipeline.left_out().keys() == {"a", "b"}
    assert told == ["hung"]


def test_where_no_thread_can_go_on_the_pipeline_ends_and_says_so(
    back: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = FrameFilter(lambda _: back.wait() or None, timeout_s=TIMEOUT_S)
    pipeline = make(SyntheticCamera(width=32, height=16, frames=None), Script(), Sink(), on_frame=stage).start()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(SessionFailed, match="can't start new thread"):
            pipeline.wait(PATIENCE_S)
    with pytest.raises(SessionFailed, match="can't start new thread"):
        pipeline.stop()


def test_what_other_lanes_had_ready_is_counted_where_no_thread_can_go_on(
    back: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the result with which the stage hangs, and nobody is left to deliver it."""
    errors, sink, ready = list[str](), Sink(), threading.Event()
    start = StageThread.start

    def hangs(_: FrameResult) -> None:
        wait_until(lambda: bool(pipeline._handover._order._parked), "a result of the other lane")
        ready.set()
        back.wait()

    def refuse(thread: StageThread) -> None:
        if ready.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(StageThread, "start", refuse)
    stage = FilteredDelivery(hangs, InlineDelivery(sink), timeout_s=TIMEOUT_S)
    # Its time is over when the other lane has put a result down behind it.
    monkeypatch.setattr(stage._calls, "_clock", lambda: float(ready.is_set()))
    film = SyntheticCamera(width=32, height=16, frames=50)
    pipeline = make(film, Script(), stage, "every_frame", lanes=2, on_error=lambda error: errors.append(error.message))
    pipeline.start()
    assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stop(PATIENCE_S)
    assert errors == ["The pipeline stopped: RuntimeError: can't start new thread"]
    assert stats.dropped["stopped"] > 0
    assert_accounts(stats)
    back.set()
    wait_until(no_threads_left, "the end of the thread that it held")
    assert_accounts(pipeline.stats())
    assert sink.results == []


def test_a_pipeline_runs_also_where_nobody_can_look_for_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "edgesdk-hangs":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sink = Sink()
    film = SyntheticCamera(width=32, height=16, frames=5)
    with make(film, Script(), sink, "every_frame", on_frame=lambda frame: frame.image) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert (sink.seqs, "will not be told" in caplog.text) == ([*range(5)], True)


def test_a_models_error_is_told_also_where_a_stage_keeps_its_thread(back: threading.Event) -> None:
    """The lane whose model fails delivers what another lane has ready, and does not come back from that."""
    errors: list[str] = []
    model, began = _FailsThenWaits(), threading.Event()

    def hangs(_: FrameResult) -> None:
        began.set()
        back.wait()

    film = SyntheticCamera(width=32, height=16, frames=2)
    told = FilteredDelivery(hangs, InlineDelivery(Sink()), timeout_s=60.0)
    pipeline = Pipeline(
        model.slots(),
        film,
        on_result=told,
        policy="every_frame",
        lanes=2,
        on_error=lambda error: errors.append(error.message),
    ).start()
    assert began.wait(PATIENCE_S), "the other lane's result is delivered by the lane that failed"
    assert errors == ["The pipeline stopped: ValueError: the model's own"]
    back.set()
    pipeline.stop()
