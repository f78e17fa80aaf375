"""The governor under a simulated clock: it never flaps, always recovers, and holds what it is there to hold."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.governor.decide import GovernorTimes, Standing, Step, decide
from edgesdk_agent.governor.strain import Strain

TIMES = GovernorTimes()
RUNGS = 4
PRESSED, BETWEEN, CALM = Strain(("age 1.2, mark 1",), calm=False), Strain((), calm=False), Strain((), calm=True)
READING_S = 5.0
START = Standing()


def walk(
    strains: list[Strain], standing: Standing = START, start: float = 0.0
) -> tuple[Standing, list[tuple[float, Step]]]:
    steps, now = [], start
    for strain in strains:
        standing, step = decide(standing, strain, now, rungs=RUNGS, times=TIMES)
        if step is not None:
            steps.append((now, step))
        now += READING_S
    return standing, steps


def test_it_goes_down_a_rung_at_a_time_and_waits_for_each_to_work() -> None:
    standing, steps = walk([PRESSED] * 40)
    assert [step.to for _, step in steps] == [1, 2, 3, 4]
    assert standing.place == RUNGS
    assert steps[0][0] == TIMES.engage_after_s
    assert min(b - a for (a, _), (b, _) in itertools.pairwise(steps)) >= TIMES.settle_s


def test_a_short_strain_moves_nothing_and_neither_does_what_lies_between() -> None:
    assert walk([PRESSED, CALM] * 100)[1] == []
    down = Standing(place=2, stepped_at=0.0)
    assert walk([BETWEEN] * 1000, down)[1] == []


def test_it_comes_back_as_slowly_as_patience_asks() -> None:
    standing, steps = walk([CALM] * 100, Standing(place=3, stepped_at=0.0))
    assert standing.place == 0
    assert [step.to for _, step in steps] == [2, 1, 0]
    assert min(b - a for (a, _), (b, _) in itertools.pairwise(steps)) >= TIMES.patience_s


@given(st.lists(st.tuples(st.sampled_from([PRESSED, BETWEEN, CALM]), st.integers(1, 30)), max_size=60))
def test_whatever_came_before_it_recovers_when_it_is_calm(history: list[tuple[Strain, int]]) -> None:
    standing, _ = walk([strain for strain, times in history for _ in range(times)])
    assert 0 <= standing.place <= RUNGS
    calm = [CALM] * int((RUNGS + 1) * TIMES.patience_most_s / READING_S + 2)
    standing, steps = walk(calm, standing, start=1e6)
    assert standing.place == 0
    assert all(step.to < step.before for _, step in steps)


@given(st.lists(st.sampled_from([PRESSED, BETWEEN, CALM]), max_size=400))
def test_steps_are_of_one_rung_and_apart_whatever_the_strain(strains: list[Strain]) -> None:
    _, steps = walk(strains)
    for (before, one), (after, two) in itertools.pairwise(steps):
        assert one.to == two.before
        assert abs(two.to - two.before) == 1
        if two.to > two.before:
            assert after - before >= TIMES.settle_s
        else:
            assert after - before >= TIMES.patience_s


@settings(max_examples=50, deadline=None)
@given(needed=st.integers(1, RUNGS), lag=st.integers(0, 4))
def test_a_device_that_is_strained_by_just_what_a_rung_gives_back_does_not_flap(needed: int, lag: int) -> None:
    """The plant: above `needed` rungs it is calm, below it presses, `lag` readings late. A day of it is a few dozen steps."""
    standing, steps, places = Standing(), 0, [0] * (lag + 1)
    readings = int(86400 / READING_S)
    pressed = 0
    for number in range(readings):
        strain = CALM if places[-1 - lag] >= needed else PRESSED
        pressed += bool(strain.presses)
        standing, step = decide(standing, strain, number * READING_S, rungs=RUNGS, times=TIMES)
        steps += step is not None
        places.append(standing.place)
    # Without doubling patience it would be a step every 75 s: more than a thousand.
    assert steps <= 2 * (86400 / TIMES.patience_most_s + 12) + 2 * RUNGS
    assert pressed / readings < 0.05
    assert standing.place >= needed - 1


def test_negative_control_without_growing_patience_it_flaps() -> None:
    impatient = GovernorTimes(patience_most_s=60.0)
    standing, steps = Standing(), 0
    for number in range(int(86400 / READING_S)):
        strain = CALM if standing.place >= 1 else PRESSED
        standing, step = decide(standing, strain, number * READING_S, rungs=RUNGS, times=impatient)
        steps += step is not None
    assert steps > 1000
