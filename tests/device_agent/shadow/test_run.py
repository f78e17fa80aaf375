"""Whole shadow runs: a real detector on a moving belt, and candidates in processes of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("onnx")

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow import run as run_module
from edgesdk_agent.shadow.model_process import Bundled, ProcessLimits
from edgesdk_agent.shadow.next_frame import NextFrame, ShadowedDelivery
from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.shadow.run import Pair, ShadowRun, ShadowSettings
from edgesdk_targets.bundle.bundle import Bundle, open_bundle, write_bundle
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_testkit import bad_models

# Processes that stand back come to nothing for long on a machine that has other work: a run lasts longer than its test waits.
PATIENCE_S, LASTS_S = 300.0, 86400.0
_TARGET = "generic-onnx"


@dataclass
class Belt:
    """A detector that watches a belt, and shadow runs beside it."""

    folder: Path
    original: Path
    digest: str
    frames: NextFrame
    results: list[FrameResult] = field(default_factory=list)
    runs: list[ShadowRun] = field(default_factory=list)
    facts: Callable[[], Facts] = lambda: Facts(at=time.monotonic(), uptime_s=1.0, age_p95_ms=5.0)

    def candidate(self, make: Callable[[Bundle], Any]) -> Path:
        path = self.folder / "candidate.edgebundle"
        with open_bundle(self.original) as bundle:
            write_bundle(path, *make(bundle))
        return path

    def begun(self, candidate: Path, lasts_s: float = LASTS_S, **limits: Any) -> ShadowRun:
        settings = ShadowSettings(apart_s=0.0, look_s=0.1, process=ProcessLimits(**limits))
        pair = Pair(Bundled(candidate, _TARGET), Bundled(self.original, _TARGET), self.digest, "detect")
        plan = ShadowPlan(lasts_s=lasts_s, least_s=0, share=1.0)
        run = ShadowRun(pair, plan, self.frames, self.facts, lasts_s=lasts_s, settings=settings)
        run.start()
        self.runs.append(run)
        return run


@pytest.fixture
def belt(tmp_path: Path, digits_bundle: Path) -> Iterator[Belt]:
    frames = NextFrame()
    with load_model(digits_bundle, target=_TARGET, options=SessionOptions(threads=1)) as model:
        one = Belt(tmp_path, digits_bundle, model.digest, frames)
        delivery = ShadowedDelivery(frames, InlineDelivery(one.results.append), pictures=False)
        with Pipeline(model, "conveyor:?fps=60", on_result=delivery, policy="every_frame") as pipeline:
            pipeline.keep_images(True)
            yield one
            for run in one.runs:
                run.stop()
    _wait_until(lambda: not _children())


def _children() -> list[psutil.Process]:
    """Return the processes of a run that live."""
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has just ended, or nobody has asked yet how
            found += [one] if any("shadow.child" in word for word in one.cmdline()) else []
    return found


def ended(run: ShadowRun) -> ShadowSummary:
    until = time.monotonic() + PATIENCE_S
    while run.summary is None:
        assert time.monotonic() < until, "it never ended"
        time.sleep(0.05)
    summary = run.summary
    run.stop()
    return summary


def _noisy(bundle: Bundle) -> Any:
    return bad_models.noisy(bundle, 0.01)


def _later(harm: Callable[[], list[Any]], after: int = 0) -> Callable[[Bundle], Any]:
    return lambda bundle: bad_models.with_clock(bundle, harm, after)


@pytest.mark.parametrize(
    ("make", "verdict", "says"),
    [
        (bad_models.as_it_is, "promote", ""),
        (_noisy, "promote", ""),
        (_later(bad_models.misses(10, 7)), "reject", "its answers differ"),
        (bad_models.three_times, "reject", "times as long"),
        (_later(bad_models.drips), "reject", "its memory grows"),
        (_later(bad_models.crashes, 20), "reject", "it failed with a frame"),
    ],
    ids=["same", "slightly-noisy", "one-class-broken", "slower", "leaking", "fails-later"],
)
def test_a_candidate_is_judged(belt: Belt, make: Callable[[Bundle], Any], verdict: str, says: str) -> None:
    said = ended(belt.begun(belt.candidate(make)))
    assert said.verdict == verdict, said.in_words()
    assert any(says in one for one in said.reasons) or not says, said.in_words()
    # What leaves the device is small, and holds no frame.
    assert len(said.model_dump_json()) < 4096
    # No frame was lost by it, nor came with a picture that nobody but the run asked for.
    assert [one.seq for one in belt.results] == list(range(len(belt.results)))
    assert all(one.image is None for one in belt.results)


def test_a_candidate_that_hangs_is_rejected_and_holds_nothing(belt: Belt) -> None:
    said = ended(belt.begun(belt.candidate(_later(bad_models.hangs, 10)), answers_s=1.0))
    assert said.verdict == "reject"
    assert "it hangs" in said.reasons[0]
    seen = len(belt.results)
    _wait_until(lambda: len(belt.results) > seen + 20)


def test_one_that_takes_too_much_memory_or_cannot_be_loaded_is_rejected(belt: Belt) -> None:
    assert "of memory" in ended(belt.begun(belt.candidate(_later(bad_models.leaks)), memory_bytes=150 << 20)).reasons[0]
    nothing = belt.folder / "nothing.edgebundle"
    nothing.write_bytes(b"")
    assert "it does not start" in ended(belt.begun(nothing)).reasons[0]


def test_its_processes_stand_back_and_go_with_it(belt: Belt) -> None:
    run = belt.begun(belt.original)
    _wait_until(lambda: len(_children()) == 2)
    _wait_until(lambda: all(os.sched_getscheduler(one.pid) == os.SCHED_IDLE for one in _children()))
    assert {one.nice() for one in _children()} == {19}
    run.stop()
    _wait_until(lambda: not _children())
    assert run.summary is None


def test_what_the_kernel_kills_is_not_held_against_the_candidate(belt: Belt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short of memory it takes these processes first: the run is held, and tries again."""
    monkeypatch.setattr(run_module, "_AGAIN_S", 0.1)
    run = belt.begun(belt.original)
    for answers in (0, 5):  # while it starts, and at work
        _wait_until(lambda least=answers: len(_children()) == 2 and run._judge.frames >= least)
        first = {child.pid for child in _children()}
        for child in _children():
            child.kill()
        _wait_until(lambda gone=first: gone.isdisjoint(child.pid for child in _children()))
    _wait_until(lambda: run._judge.frames >= 15)
    paused = run._pace.paused
    assert run.summary is None
    assert sum(count for why, count in paused.items() if "no room" in why) >= 2, paused


def test_a_device_that_is_pressed_gives_nothing_and_the_run_is_held(belt: Belt) -> None:
    belt.facts = lambda: Facts(at=time.monotonic(), uptime_s=1.0, age_p95_ms=5.0, system_cpu_percent=100.0)
    run = belt.begun(belt.original, lasts_s=1.0)
    said = ended(run)
    assert (said.verdict, said.frames) == ("hold", 0)
    assert "1 s are over" in said.reasons[0]


def _wait_until(what: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)
