"""The judge on simulated streams of frames: right for each kind of candidate, and seldom wrong for one that is as good."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edgesdk_agent.shadow.judge import Compared, Judge, Judgement, Limits

_CLASSES = [f"class {i}" for i in range(10)]
_FRAMES = 6000
_MB = 1 << 20


@dataclass(frozen=True)
class Candidate:
    """How a candidate differs from the model that runs.

    Attributes:
        wrong: share of scenes that it answers otherwise; broken: a class that it never sees.
        slower: times as long; leaks: bytes a frame; swings: bytes that it holds more in each second block.
    """

    wrong: float = 0.0
    broken: str = ""
    slower: float = 1.0
    leaks: int = 0
    swings: int = 0


def frames(candidate: Candidate, seed: int, *, scene: float = 4.0, alone: bool = False) -> Iterator[Compared]:
    """Return a stream: scenes of some frames each, in which an answer once wrong stays so; times and memory are noisy.

    Args:
        scene: frames of a scene, on average; alone: each frame counts by itself, as it must not.
    """
    rng = random.Random(seed)
    held, control = 120 * _MB, 118 * _MB
    label, wrong, begins = "", False, True
    for number in itertools.count():
        begins = number == 0 or rng.random() < 1 / scene
        if begins:
            label = rng.choice(_CLASSES)
            wrong = rng.random() < candidate.wrong or label == candidate.broken
        took = 0.004 * rng.lognormvariate(0, 0.2)
        stall = 0.02 if rng.random() < 0.03 else 0.0
        # A process takes memory at first, and then a page now and then.
        settling = max(0, 20 - number) * 50_000
        held += candidate.leaks + (4096 if rng.random() < 0.1 else 0)
        control += 4096 if rng.random() < 0.1 else 0
        yield Compared(
            begins=begins or alone,
            camera="belt",
            differs=float(wrong),
            classes={label: float(wrong)},
            control_differs=0.0,
            times_s=(took * candidate.slower * rng.lognormvariate(0, 0.2) + stall, took),
            memory_bytes=(held - settling + candidate.swings * (number // 10 % 2), control - settling),
        )


def verdict(candidate: Candidate, seed: int, **how: float) -> str:
    """Return the first clear verdict on a stream, and `hold` where its time ends before."""
    judge = Judge(Limits())
    for one in itertools.islice(frames(candidate, seed, **how), _FRAMES):  # type: ignore[arg-type]
        judge.take(one)
        if (found := judge.judgement().verdict) is not None:
            return found
    return "hold"


@pytest.mark.parametrize(
    ("candidate", "right"),
    [
        (Candidate(), "promote"),
        (Candidate(wrong=0.01), "promote"),
        (Candidate(broken="class 7"), "reject"),
        (Candidate(slower=3.0), "reject"),
        (Candidate(leaks=100_000), "reject"),
        (Candidate(swings=200_000), "promote"),
        (Candidate(leaks=30_000, swings=200_000), "reject"),
    ],
    ids=[
        "same",
        "slightly-noisy",
        "one-class-broken",
        "three-times-slower",
        "leaking",
        "up-and-down",
        "leaking-up-and-down",
    ],
)
def test_verdicts_are_right(candidate: Candidate, right: str) -> None:
    found = Counter(verdict(candidate, seed) for seed in range(100))
    assert found[right] >= 95, found


def test_one_that_is_as_good_as_it_must_be_is_hardly_ever_rejected() -> None:
    """Half as wrong as allowed, a third slower, and a page now and then: 0 to 2 of 100."""
    found = Counter(verdict(Candidate(wrong=0.025, slower=1.3), seed) for seed in range(100))
    assert found["reject"] <= 4, found


def test_frames_that_look_alike_must_count_once() -> None:
    """The control of the test above: where each of forty like frames counts, the same candidates are rejected for nothing."""
    alike = [verdict(Candidate(wrong=0.04), seed, scene=40.0) for seed in range(15)]
    alone = [verdict(Candidate(wrong=0.04), seed, scene=40.0, alone=True) for seed in range(40)]
    assert "reject" not in alike
    assert alone.count("reject") >= 2


def seen(judge: Judge, count: int, **changes: object) -> Judgement:
    """Let a judge see so many frames of a candidate that is like the model that runs, but for the changes."""
    usual: dict[str, object] = {
        "begins": True, "camera": "belt", "differs": 0.0, "classes": {"cup": 0.0}, "control_differs": 0.0,
        "times_s": (0.004, 0.004), "memory_bytes": (100 * _MB, 100 * _MB),
    }  # fmt: skip
    for _ in range(count):
        judge.take(Compared(**{**usual, **changes}))  # type: ignore[arg-type]
    return judge.judgement()


def test_little_is_no_verdict_and_says_what_is_missing() -> None:
    found = seen(Judge(Limits()), 20)
    assert (found.verdict, found.reasons) == (None, ())
    assert any("frames that differ" in one for one in found.needs)
    # A scene in which nothing is found, for ever, says nothing of what would be found.
    empty = seen(Judge(Limits()), 2000, differs=None, classes={})
    assert empty.verdict is None
    # Nor does one picture, however often it is seen.
    still = Judge(Limits())
    seen(still, 1)
    assert seen(still, 2000, begins=False).verdict is None


def test_cameras_do_not_mix() -> None:
    """Two cameras by turns, one of which stands still: its frames belong to its own scene."""
    judge = Judge(Limits())
    for _ in range(200):
        seen(judge, 1, camera="gate", begins=True)
        seen(judge, 1, camera="wall", begins=False, differs=1.0, classes={"wall": 1.0})
    assert judge.answers.mean == 0.0


def test_where_the_copy_of_the_running_model_differs_nothing_is_known() -> None:
    """Such as of a model that goes from frame to frame, of which only some are seen here."""
    judge = Judge(Limits())
    found = seen(judge, 500, differs=1.0, classes={"cup": 1.0}, control_differs=1.0)
    assert found.verdict is None
    assert any("its own copy gave others" in one for one in found.needs)
    assert judge.void == 500


def test_a_class_that_is_seldom_seen_is_named_and_not_judged() -> None:
    judge = Judge(Limits())
    seen(judge, 600)
    found = seen(judge, 3, classes={"fork": 1.0})
    assert (found.verdict, found.rare) == ("promote", ("fork",))


def test_a_class_that_is_seen_often_enough_must_be_clear() -> None:
    judge = Judge(Limits())
    seen(judge, 200)
    found = seen(judge, 4, classes={"fork": 1.0})
    assert (found.verdict, [one for one in found.needs if "fork" in one]) == (None, ["more of fork"])


def test_a_trifle_of_time_is_none() -> None:
    judge = Judge(Limits())
    assert seen(judge, 300, times_s=(0.00012, 0.00003)).verdict == "promote"
    assert judge.slower == pytest.approx(4.0)


def test_what_the_control_does_too_is_not_held_against_the_candidate() -> None:
    judge = Judge(Limits())
    for number in range(400):
        held = 100 * _MB + number * 200_000
        seen(judge, 1, memory_bytes=(held, held))
    assert judge.judgement().verdict == "promote"
    assert judge.growth_bytes == 0


def test_two_weeks_take_no_more_memory_than_an_hour() -> None:
    judge, sizes = Judge(Limits()), []
    tracemalloc.start()
    try:
        for _ in range(3):
            for number in range(2_500):
                took = 0.004 + number % 1000 / 1e6
                # A belt that shows something else each time, and a wall that never does.
                seen(judge, 1, times_s=(took, 0.004), differs=number % 1000 / 1e5, classes={"cup": number % 1000 / 1e5})
                seen(judge, 1, camera="wall", begins=False)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[2] - sizes[1] < 20_000, sizes
