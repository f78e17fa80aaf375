"""Intervals: known values, and that they hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk.evaluate.intervals import proportion, ratio_of_sums


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998, table I, method 3 (Wilson without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    metric = proportion(successes, n)
    assert (metric.low, metric.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert metric.value == successes / n


def test_all_right_is_not_certain() -> None:
    metric = proportion(8, 8)
    assert metric.high == 1.0
    assert 0.6 < metric.low < 0.7


def test_a_ratio_holds_the_truth_about_as_often_as_it_says() -> None:
    """200 data sets of 60 texts, true rate 0.1: about 95 % of the intervals hold it (91.5 % is 2.3 sd below)."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        lengths = rng.integers(3, 12, 60)
        metric = ratio_of_sums(rng.binomial(lengths, 0.1), lengths)
        held += metric.low <= 0.1 <= metric.high
    assert 0.88 <= held / 200 <= 0.99


def test_the_same_data_give_the_same_interval() -> None:
    lengths = np.asarray([3, 5, 8, 1])
    assert ratio_of_sums(np.asarray([0, 1, 2, 0]), lengths) == ratio_of_sums(np.asarray([0, 1, 2, 0]), lengths)


def test_json() -> None:
    assert proportion(1, 2).to_json() == {"value": 0.5, "low": 0.094531, "high": 0.905469, "n": 2}
