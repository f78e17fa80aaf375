"""Threads that user code held and that were let go: told from others that have ended, waited for by nobody, and not kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery import tally
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import Frame
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_testkit.pipelines import Sink, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

TIMEOUT_S = 0.1


class Waits:
    """A stage that waits for the next event, and whose successor waits for the one after."""

    def __init__(self, mine: threading.Event, *others: threading.Event) -> None:
        self.mine, self.others = mine, others

    def run(self) -> None:
        self.mine.wait()

    def end(self) -> None: ...

    def successor(self) -> Waits:
        return Waits(*self.others)


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
