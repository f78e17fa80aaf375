"""Paired differences: their chances are right, and corrected for how many pairs there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import drop_of_figure, drop_of_shares
from edgesdk.evaluate.significance import holm, paired_differences
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.results import Classification
from edgesdk_targets.tensor import Array

LABELS = ("a", "b")


def _asked(right: Array) -> Answers:
    """Answers of a classifier whose truth is always class 0."""
    results = tuple(Classification(np.asarray([0 if r else 1]), np.asarray([0.9], np.float32), LABELS) for r in right)
    noise = np.random.default_rng(3).normal(0, 50, (len(right), 256)).astype(np.float32)
    return Answers(results, ((8, 8),) * len(right), noise, (None,) * len(right))


def _dataset(count: int) -> Dataset:
    from pathlib import Path

    return Dataset("classify", LABELS, tuple(ClassSample(Path(f"{i}.png"), frozenset({0})) for i in range(count)))


class TestChance:
    @pytest.mark.parametrize(("lost", "won"), [(10, 0), (9, 1), (6, 2), (3, 3)])
    def test_of_shares_is_near_the_exact_binomial_and_not_above_twice_it(self, lost: int, won: int) -> None:
        samples = np.asarray([1.0] * lost + [-1.0] * won + [0.0] * 40)
        exact = stats.binomtest(lost, lost + won).pvalue
        # The unconditional test is at least as powerful, and never calls nothing significant.
        assert exact / 10 < drop_of_shares("top1", samples, 0.01).p <= min(1.0, 2 * exact)

    def test_it_is_the_same_from_both_sides(self) -> None:
        samples = np.asarray([1.0] * 8 + [-1.0] * 2 + [0.0] * 30)
        assert drop_of_shares("x", samples, 0.01).p == pytest.approx(drop_of_shares("x", -samples, 0.01).p)

    @pytest.mark.parametrize("n", [6, 20, 200])
    def test_of_other_figures_is_students(self, n: int) -> None:
        left_out = np.random.default_rng(0).normal(0, 0.01 / np.sqrt(n), n)
        drop = drop_of_figure("ap50", 0.025, left_out, n, 0.01)
        error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
        assert drop.p == pytest.approx(2 * stats.t.sf(0.025 / error, n - 1), rel=0.12)

    def test_chance_alone_is_rarely_called_a_difference(self) -> None:
        rng = np.random.default_rng(1)
        false = sum(drop_of_shares("x", rng.choice([-1.0, 0.0, 1.0], 40), 0.01).p < 0.05 for _ in range(200))
        assert false <= 18  # 5 % are 10; more than 18 in less than 1 of a hundred runs


class TestSeveral:
    def test_holm(self) -> None:
        assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
        assert holm([0.5, 0.9]) == [1.0, 1.0]
        assert holm([]) == []

    def test_each_two_models_are_compared_and_the_better_is_named(self) -> None:
        right = np.arange(60) < 55
        models = {"good": _asked(right), "same": _asked(right), "bad": _asked(np.arange(60) < 20)}
        found = {(d.first, d.second): d for d in paired_differences(_dataset(60), models, "top1")}
        assert len(found) == 3
        assert found["good", "bad"].better == "good"
        assert found["same", "bad"].better == "same"
        assert found["good", "same"].better is None
        assert found["good", "bad"].value == pytest.approx(35 / 60)
        assert all(d.p_adjusted >= d.p for d in found.values())

    def test_what_one_pair_shows_three_pairs_may_not(self) -> None:
        """The correction is there: the same answers, alone significant, beside others not."""
        one, other = _asked(np.arange(40) < 36), _asked(np.arange(40) < 30)
        alone = paired_differences(_dataset(40), {"one": one, "other": other}, "top1")[0]
        third = {f"m{i}": one for i in range(8)}
        among = paired_differences(_dataset(40), {"one": one, "other": other, **third}, "top1")[0]
        assert alone.better == "one"
        assert among.p == alone.p
        assert among.p_adjusted > alone.p_adjusted
