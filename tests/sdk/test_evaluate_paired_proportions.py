"""The exact interval of a drop: known values, and that a true drop equal to the limit passes at most once in twenty."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgesdk.evaluate import paired_proportions
from edgesdk.evaluate.drop import drop_of_shares
from edgesdk.evaluate.paired_proportions import chance_of_so_little, chance_of_so_much, drop_bounds
from edgesdk_targets.tensor import Array

LIMIT = 0.01
_WON = 70


def passing(n: int) -> Array:
    """Return how many lost samples still pass, by how many were won; -1 where none does."""
    most = np.full(_WON, -1)
    for won in range(_WON):
        low, high = -1, won + int(n * LIMIT) + 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if chance_of_so_little(n, middle, won, LIMIT) <= 0.05 else (low, middle)
        most[won] = low
    return most


def chance_to_pass(n: int, most: Array, lost: float, won: float) -> float:
    """Return the probability of the outcomes that pass, for true shares of lost and won samples."""
    total = 0.0
    for count, limit in enumerate(most):
        b = np.arange(limit + 1.0)
        c = np.full_like(b, count)
        logs = paired_proportions._log_ways(n, b, c) + b * math.log(max(lost, 1e-300)) + c * math.log(max(won, 1e-300))
        total += float(np.exp(logs + (n - b - c) * math.log(1 - lost - won)).sum())
    return total


@pytest.mark.parametrize("n", [300, 500, 1000, 2000])
def test_a_true_drop_equal_to_the_limit_passes_at_most_once_in_twenty(n: int) -> None:
    """Computed, not simulated: the probability of every outcome that passes, whatever share was won."""
    most = passing(n)
    for won in (0.0, 0.0005, 0.001, 0.003, 0.006, 0.01):
        assert chance_to_pass(n, most, won + LIMIT, won) <= 0.0501
    # It is no test that never passes: with a worse drop it passes less, with none often.
    assert chance_to_pass(n, most, 2 * LIMIT, 0.0) < chance_to_pass(n, most, LIMIT, 0.0)


@pytest.mark.parametrize(
    ("n", "differing", "power"),
    # The figures of docs/evaluating.md.
    [
        (300, 0.0, 1.0),
        (300, 0.002, 0.74),
        (1000, 0.01, 0.87),
        (2000, 0.01, 0.99),
        (1000, 0.02, 0.68),
        (2000, 0.02, 0.92),
    ],
)
def test_an_equally_good_artifact_passes_as_often_as_stated(n: int, differing: float, power: float) -> None:
    """Half of the samples that differ are lost, half are won: the true drop is 0."""
    assert chance_to_pass(n, passing(n), differing / 2, differing / 2) == pytest.approx(power, abs=0.011)


def test_simulated_classifiers_at_the_limit() -> None:
    """The same by drawing 4,000 pairs of classifiers with a true drop of one point; 6 % is three standard errors above."""
    rng = np.random.default_rng(3)
    n = 800
    drawn = rng.multinomial(n, [0.016, 0.006, 0.978], size=4000)
    pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    passed = [chance_of_so_little(n, b, c, LIMIT) <= 0.05 for b, c in pairs.tolist()]
    share = float(counts[np.asarray(passed)].sum() / 4000)
    assert 0.015 <= share <= 0.06


def test_a_naive_interval_would_pass_too_often() -> None:
    """Negative control: Wald's interval passes a drop equal to the limit in far more than 5 of a hundred cases."""
    rng = np.random.default_rng(3)
    n = 300
    lost = rng.binomial(n, LIMIT, 20_000) / n
    wald = lost + 1.645 * np.sqrt(lost * (1 - lost) / n)
    assert (wald <= LIMIT).mean() > 0.15


@pytest.mark.parametrize(("n", "high"), [(100, 0.0295), (299, 0.00997), (1000, 0.00299)])
def test_nothing_lost_may_hide_three_of_n(n: int, high: float) -> None:
    assert drop_bounds(n, 0, 0) == (pytest.approx(-high, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert high == pytest.approx(1 - 0.05 ** (1 / n), abs=2e-4)


def test_all_lost() -> None:
    low, high = drop_bounds(20, 20, 0)
    assert high == 1.0
    assert 0.7 < low < 0.87


def test_the_ends_mirror_each_other() -> None:
    low, high = drop_bounds(400, 17, 5)
    assert (-high, -low) == drop_bounds(400, 5, 17)
    assert low < 12 / 400 < high


def test_many_samples_approach_the_normal_interval() -> None:
    n, lost, won = 40_000, 900, 700
    low, high = drop_bounds(n, lost, won)
    drop = (lost - won) / n
    half = 1.645 * math.sqrt((lost + won) / n - drop**2) / math.sqrt(n)
    assert (low, high) == (pytest.approx(drop - half, abs=1e-4), pytest.approx(drop + half, abs=1e-4))


def test_exact_and_normal_meet_where_one_takes_over() -> None:
    """At the size where Tango's score alone is used, both give nearly the same probability."""
    exact = chance_of_so_little(3000, 40, 30, 0.008)
    cells = paired_proportions._MAX_CELLS
    paired_proportions._chance.cache_clear()
    try:
        paired_proportions._MAX_CELLS = 0
        normal = chance_of_so_little(3000, 40, 30, 0.008)
    finally:
        paired_proportions._MAX_CELLS = cells
        paired_proportions._chance.cache_clear()
    assert exact == pytest.approx(normal, abs=0.006)


def test_so_much_is_the_other_tail() -> None:
    assert chance_of_so_much(50, 30, 0, 0.1) < 1e-6
    assert chance_of_so_much(50, 0, 0, 0.1) > 0.99
    assert chance_of_so_much(50, 30, 0, 0.1) == chance_of_so_little(50, 0, 30, -0.1)


def test_parts_of_a_group_are_rounded_in_the_direction_of_doubt() -> None:
    whole = drop_of_shares("x", np.asarray([1.0, 0, 0, 0] * 50), LIMIT)
    parts = drop_of_shares("x", np.asarray([0.99, 0, 0, 0] * 50), LIMIT)
    assert parts.value < whole.value
    assert parts.high >= whole.high - 1e-3
    assert parts.low <= whole.low


def test_groups_with_parts_pass_no_more_often_than_they_should() -> None:
    """Videos of five frames, each failing wholly or in part, true drop of 2 points at a limit of 2: simulated 1,500 times."""
    rng = np.random.default_rng(5)
    passed = 0
    for _ in range(1500):
        failing = rng.random(260) < 0.04
        lost = failing * rng.binomial(5, 0.5, 260) / 5
        passed += chance_of_so_little(260, float(lost.sum()), 0.0, 0.02) <= 0.05
    assert passed / 1500 <= 0.06
