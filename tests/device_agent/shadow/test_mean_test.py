"""A mean that is tested after each observation: how often it is wrong, however often one asks."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from edgesdk_agent.shadow.mean_test import MeanTest, _least_mean


def streams(mean: float, count: int, length: int, limit: float) -> list[MeanTest]:
    """Return tests that have seen streams of 0 and 1 of a mean, asked after each."""
    found = []
    for seed in range(count):
        rng, test = random.Random(seed), MeanTest(limit, 0.05, 0.05)
        for _ in range(length):
            test.add(float(rng.random() < mean))
            if test.above or test.below:
                break
        found.append(test)
    return found


def test_what_is_plain_is_known_soon() -> None:
    test = MeanTest(0.05, 0.005, 0.05)
    for _ in range(150):
        test.add(0.0)
    assert (test.above, test.below, test.mean) == (False, True, 0.0)
    test = MeanTest(0.5, 0.005, 0.05)
    for _ in range(15):
        test.add(1.0)
    assert (test.above, test.below) == (True, False)


@pytest.mark.parametrize("limit", [0.05, 0.3, 0.5])
def test_a_mean_of_just_the_limit_is_seldom_said_to_be_on_either_side(limit: float) -> None:
    """At most one in twenty each; a test that asks ten times a stream whether p < 0.05 would be wrong in one of five."""
    found = streams(limit, 200, 600, limit)
    assert sum(one.above for one in found) <= 0.05 * 200 + 6
    assert sum(one.below for one in found) <= 0.05 * 200 + 6


def test_a_mean_off_the_limit_is_told() -> None:
    assert all(one.above for one in streams(0.3, 40, 600, 0.05))
    assert all(one.below for one in streams(0.01, 40, 1500, 0.05))


def test_the_interval_holds_the_mean_and_shrinks() -> None:
    rng, test, widths = random.Random(3), MeanTest(0.1, 0.05, 0.05), []
    assert test.interval() == (0.0, 1.0)
    for number in range(1, 1001):
        test.add(rng.random() * 0.2)
        if number in {10, 100, 1000}:
            low, high = test.interval()
            assert low <= 0.1 <= high
            widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.05


def test_the_interval_is_as_if_each_value_were_kept() -> None:
    """Kept is a histogram, of which each side is rounded so that the interval is the wider one."""
    rng, test = random.Random(4), MeanTest(0.1, 0.05, 0.05)
    values = [rng.random() ** 3 for _ in range(500)]
    for value in values:
        test.add(value)
    low, high = test.interval()
    exact = _least_mean(Counter(values), math.log(40)), 1 - _least_mean(Counter(1 - v for v in values), math.log(40))
    assert exact[0] - 0.002 < low <= exact[0] < exact[1] <= high < exact[1] + 0.002


def test_what_is_outside_counts_as_the_nearer_end() -> None:
    test = MeanTest(0.5, 0.05, 0.05)
    test.add(7.0)
    test.add(-3.0)
    assert test.mean == 0.5
