"""What a shadow run does with processes that answer as they are told; none is started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow import run as run_module
from edgesdk_agent.shadow.model_process import Bundled, Faulty, NoRoom, Said
from edgesdk_agent.shadow.next_frame import NextFrame
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_agent.shadow.run import Pair, ShadowRun, ShadowSettings
from edgesdk_targets.results import Text

PATIENCE_S = 300.0
DIGEST = "sha256:" + "a" * 64
SAID = Said(True, 0.0, {}, 0.01, 100 << 20, 100 << 20)


@dataclass
class Bench:
    """Runs beside a pipeline that only offers frames.

    Attributes:
        answer: of each process, given what it is called; asked: which were.
        looks: how often the device's state was looked at.
    """

    answer: Callable[[str], Said] = lambda _: SAID
    started: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    looks: int = 0
    frames: NextFrame = field(default_factory=NextFrame)
    runs: list[ShadowRun] = field(default_factory=list)

    def begun(self, share: float) -> ShadowRun:
        pair = Pair(Bundled(Path("candidate")), Bundled(Path("running")), DIGEST, "detect")
        plan = ShadowPlan(lasts_s=86400, share=share)
        settings = ShadowSettings(look_s=0.02)
        run = ShadowRun(pair, plan, self.frames, self.facts, lasts_s=86400, settings=settings)
        self.runs.append(run)
        run.start()
        return run

    def facts(self) -> Facts:
        self.looks += 1
        return Facts(at=time.monotonic(), uptime_s=1.0, age_p95_ms=5.0)

    def wait_until(self, what: Callable[[], object]) -> None:
        """Offer frames until something is so."""
        until = time.monotonic() + PATIENCE_S
        image = np.zeros((4, 6, 3), np.uint8)
        while not what():
            assert time.monotonic() < until, "it never came"
            self.frames.offer(FrameResult("gate", 1, 1.0, 2.0, 0.1, 0.01, 0.02, Text("1", 1.0), image, DIGEST))
            time.sleep(0.001)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    one = Bench()

    class Told:
        def __init__(self, what: str, *_: object) -> None:
            self._what = what
            one.started.append(what)

        def ask(self, _: FrameResult) -> Said:
            one.asked.append(self._what)
            return one.answer(self._what)

        def close(self) -> None:
            pass

    monkeypatch.setattr(run_module, "ModelProcess", Told)
    yield one
    for run in one.runs:
        run.stop()
    assert "edgesdk-shadow" not in {thread.name for thread in threading.enumerate()}


def test_after_slow_models_it_rests_for_as_long_as_its_share_says(bench: Bench) -> None:
    """A frame of 0.1 s at an eighth of 2 % is rested from for 40 s, and the device is looked at meanwhile."""

    def slow(_: str) -> Said:
        time.sleep(0.05)
        return SAID

    bench.answer = slow
    run = bench.begun(0.02)
    bench.wait_until(lambda: run._judge.frames)
    looks = bench.looks
    bench.wait_until(lambda: bench.looks >= looks + 5)
    # Nor is another frame asked for.
    assert (len(bench.asked), run._asked) == (2, False)


def test_a_copy_of_the_running_model_that_always_fails_holds_the_candidate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_AGAIN_S", 0.0)

    def too_large(what: str) -> Said:
        if "copy" in what:
            raise Faulty("it takes 2000 MB of memory, 1024 are allowed")
        return SAID

    bench.answer = too_large
    run = bench.begun(1.0)
    bench.wait_until(lambda: run.summary is not None or len(bench.started) > 20)
    assert run.summary is not None
    assert (run.summary.verdict, len(bench.started)) == ("hold", 10)
    assert "the running model's copy, as it takes 2000 MB" in run.summary.reasons[0]


def test_want_of_memory_passes_and_holds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_AGAIN_S", 0.0)

    def pressed(_: str) -> Said:
        if len(bench.started) < 20:
            raise NoRoom("memory")
        return SAID

    bench.answer = pressed
    run = bench.begun(1.0)
    bench.wait_until(lambda: run._judge.frames >= 2)
    assert run.summary is None


def test_a_small_share_of_a_slow_camera_comes_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer for so many frames to pass than is waited for one at a time; they are counted once."""
    monkeypatch.setattr(run_module, "_FRAME_WITHIN_S", 0.005)
    run = bench.begun(0.01)
    bench.wait_until(lambda: run._judge.frames >= 2)
