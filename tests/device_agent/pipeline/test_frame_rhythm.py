"""Whether to wait for the next frame, against a camera and a model in simulated time."""

from __future__ import annotations

import random

import pytest

from edgesdk_agent.pipeline.frame_rhythm import FrameRhythm

PREPARE_S = 0.0003


class Run:
    """One lane that takes the newest frame whenever it is free; the first twenty results are left out.

    Attributes:
        ages: seconds, of each result.
        rate: results a second, as a part of what the model could do.
    """

    def __init__(self, *, period_s: float, infer_s: float, waits: bool, jitter_s: float = 0.0) -> None:
        rng, rhythm = random.Random(4), FrameRhythm()
        frames = sorted(n * period_s + rng.uniform(0, jitter_s) for n in range(int(60 / period_s)))
        self.ages: list[float] = []
        told = taken = 0
        now = frames[0] + PREPARE_S
        began_at = now
        while True:
            while told < len(frames) and frames[told] <= now:
                rhythm.captured(frames[told])
                told += 1
            newest = max(n for n in range(taken, told + 1) if n == taken or frames[n - 1] + PREPARE_S <= now)
            if newest == taken:
                if taken == len(frames):
                    break
                now = frames[taken] + PREPARE_S
                continue
            captured_at = frames[newest - 1]
            patience_s = rhythm.worth_waiting_s(now, captured_at, 1) if waits else 0.0
            if patience_s > 0:
                arrives = frames[newest] + PREPARE_S if newest < len(frames) else float("inf")
                now = min(now + patience_s, arrives)
                if arrives <= now:
                    captured_at, newest = frames[newest], newest + 1
            taken = newest
            now += infer_s
            rhythm.inferred(PREPARE_S, infer_s)
            self.ages.append(now - captured_at)
        self.rate = len(self.ages) * infer_s / (now - began_at)
        del self.ages[:20]

    @property
    def mean(self) -> float:
        return sum(self.ages) / len(self.ages)

    @property
    def p95(self) -> float:
        return sorted(self.ages)[int(0.95 * len(self.ages))]


@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
@pytest.mark.parametrize(("fps", "infer_s"), [(30, 0.060), (30, 0.045), (25, 0.060), (15, 0.080), (30, 0.100)])
def test_waiting_makes_results_younger_and_keeps_the_rate(fps: float, infer_s: float, jitter_s: float) -> None:
    with_, without = (Run(period_s=1 / fps, infer_s=infer_s, waits=waits, jitter_s=jitter_s) for waits in (True, False))
    assert with_.mean < without.mean
    assert with_.p95 < without.p95
    assert with_.rate > 0.99 * without.rate
    # The bound of the live mode: the stage, one frame period and what is around them.
    assert with_.p95 < infer_s + 1 / fps


def test_where_the_model_nearly_keeps_step_every_second_frame_is_met_at_its_arrival() -> None:
    # 63 ms at 30 frames a second: the free lane is always 3.7 ms early. This is the dearest case.
    with_, without = (Run(period_s=1 / 30, infer_s=0.063, waits=waits) for waits in (True, False))
    assert with_.p95 < without.p95 - 0.025
    assert with_.rate > 0.94


@pytest.mark.parametrize("infer_s", [0.004, 0.030])
def test_a_model_that_is_faster_than_the_camera_never_waits(infer_s: float) -> None:
    rhythm = FrameRhythm()
    for n in range(50):
        rhythm.captured(n / 30)
        rhythm.inferred(PREPARE_S, infer_s)
        assert not rhythm.matters
        assert rhythm.worth_waiting_s((n + 0.99) / 30, n / 30, 1) == 0.0


def told(*times: float, infer_s: float = 0.06) -> FrameRhythm:
    rhythm = FrameRhythm()
    for at in times:
        rhythm.captured(at)
    rhythm.inferred(PREPARE_S, infer_s)
    return rhythm


def test_it_waits_for_what_is_due_soon_and_for_nothing_else() -> None:
    rhythm = told(*(n / 30 for n in range(20)))
    last, due = 19 / 30, 20 / 30
    assert 0.001 < rhythm.worth_waiting_s(due - 0.001, last, 1) < 0.003
    assert rhythm.worth_waiting_s(due - 0.010, last, 1) == 0.0, "it is too long to wait"
    assert rhythm.worth_waiting_s(due + 0.010, last, 1) == 0.0, "it should have come, and may never come"
    # A newer frame is captured already, and is only to be prepared.
    assert 0.0 < rhythm.worth_waiting_s(last + 0.0001, 18 / 30, 1) < 0.001
    # Two lanes take 33 frames a second: the camera is the slower one.
    assert rhythm.worth_waiting_s(due - 0.001, last, 2) == 0.0


def test_a_rhythm_is_believed_after_some_frames_and_found_again_after_a_break() -> None:
    few = told(0.0, 0.033, 0.066)
    assert not few.matters
    after = told(*(n / 30 for n in range(20)), *(60 + n / 15 for n in range(40)))
    due = 60 + 40 / 15
    assert after.worth_waiting_s(due - 0.001, 60 + 39 / 15, 1) == 0.0, "at 15 frames a second the model is fast enough"
    slower = told(*(n / 30 for n in range(20)), *(60 + n / 15 for n in range(40)), infer_s=0.1)
    assert slower.worth_waiting_s(due - 0.001, 60 + 39 / 15, 1) > 0.0


def test_the_waiting_is_bounded_whatever_the_model_takes() -> None:
    rhythm = told(*(n / 30 for n in range(20)), infer_s=3.0)
    assert rhythm.worth_waiting_s(20 / 30 - 0.005, 19 / 30, 1) == 0.0
    assert rhythm.worth_waiting_s(20 / 30 - 0.003, 19 / 30, 1) > 0.0
