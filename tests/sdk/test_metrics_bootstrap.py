"""Intervals by resampling: they hold the truth, keep clips together, and never say "certain"."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from edgesdk.evaluate.intervals import jackknifed
from edgesdk.evaluate.metrics.arrays import defined_mean, shares, sums_by
from edgesdk.evaluate.metrics.bootstrap import bootstrapped, rate, share
from edgesdk.evaluate.metrics.classes import ClassOutcomes
from edgesdk_targets.tensor import Array


def test_bca_is_scipys() -> None:
    """The same method on its own draws: the ends lie closer than the draws scatter."""
    values = np.random.default_rng(5).exponential(1.0, 80)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    (ours,) = bootstrapped(
        lambda draws: shares(draws @ values, draws.sum(axis=1))[:, None],
        np.arange(80),
        is_share=False,
        resamples=20_000,
    )
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)
    percentile = np.quantile([np.random.default_rng(i).choice(values, 80).mean() for i in range(2000)], 0.975)
    assert ours.high > percentile + 0.004, "a skewed figure's interval is not the percentiles'"


def test_macro_f1_holds_the_truth_about_as_often_as_it_says() -> None:
    """150 sets of 120 pictures of three classes, one of them rare: 95 % promised; 88 % is four deviations below."""
    rng = np.random.default_rng(0)
    chances = np.asarray([[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.3, 0.1, 0.6]])
    prior = np.asarray([0.5, 0.35, 0.15])
    joint = prior[:, None] * chances
    true = float(np.mean(2 * joint.diagonal() / (joint.sum(axis=0) + joint.sum(axis=1))))
    held = 0
    for _ in range(150):
        cells = rng.choice(9, 120, p=joint.reshape(-1))
        outcomes = ClassOutcomes(cells // 3, cells % 3, 3)
        (metric,) = bootstrapped(lambda draws, o=outcomes: o.figures(draws).f1_macro[:, None], np.arange(120))
        held += metric.low <= true <= metric.high
    assert 0.88 <= held / 150 <= 1.0


def test_frames_of_one_clip_are_drawn_together() -> None:
    """Ten clips of twenty frames, right or wrong as a whole, tell as much as ten pictures."""
    clips = np.repeat(np.arange(10), 20)
    right = clips < 7
    together, alone = share(right, clips), share(right, np.arange(200))
    assert together.value == alone.value == 0.7
    assert together.high - together.low > 3 * (alone.high - alone.low)
    ten = rate(np.arange(10) < 7, np.ones(10), np.arange(10))
    assert (together.low, together.high) == (pytest.approx(ten.low), pytest.approx(ten.high))


def test_no_error_seen_is_not_certain() -> None:
    """Resampling alone would give 1 … 1; a class of three pictures is less sure than one of ninety-seven."""
    truth = np.asarray([0] * 97 + [1] * 3)
    outcomes = ClassOutcomes(truth, truth, 3)
    sizes = np.bincount(truth, minlength=3)
    few = bootstrapped(lambda draws: outcomes.figures(draws).recall, np.arange(100), sizes=sizes, independent=sizes)
    assert [metric.value for metric in few[:2]] == [1.0, 1.0]
    assert (few[0].low, few[1].low) == (pytest.approx(0.9619, abs=1e-3), pytest.approx(0.4385, abs=1e-3))
    assert not few[2].is_defined
    assert [metric.n for metric in few] == [97, 3, 0]


def test_the_same_data_give_the_same_interval() -> None:
    parts, wholes = np.asarray([0, 1, 2, 0]), np.asarray([3, 5, 8, 1])
    assert rate(parts, wholes, np.arange(4)) == rate(parts, wholes, np.arange(4))


def test_one_picture_does_not_say_how_far_off_its_figure_is() -> None:
    (metric,) = bootstrapped(
        lambda draws: shares(draws @ np.asarray([2.5]), draws[:, 0])[:, None], np.zeros(1, int), is_share=False
    )
    assert (metric.value, metric.n) == (2.5, 1)
    assert np.isnan([metric.low, metric.high]).all()
    assert metric.to_json() == {"value": 2.5, "low": None, "high": None, "n": 1}
    assert metric.in_words() == ("2.5000", "undefined")


def test_one_clip_is_one_sample() -> None:
    """However many frames it has: a share has Wilson's interval of one."""
    right = np.arange(100) < 93
    one = share(right, np.zeros(100, int))
    assert (one.value, one.n) == (0.93, 100)
    assert (one.low, one.high) == (pytest.approx(0.1789, abs=1e-3), pytest.approx(0.9988, abs=1e-3))
    above = rate(np.asarray([3, 5]), np.asarray([2, 4]), np.zeros(2, int))
    assert (above.value, above.to_json()["low"]) == (pytest.approx(8 / 6), None)
    assert jackknifed(0.93, np.asarray([np.nan]), 100).low < 0.3


def test_draws_that_are_not_defined_tell_nothing() -> None:
    def figures(draws: Array) -> Array:
        return defined_mean(shares(sums_by(np.asarray([0, 1]), 2, draws) * 0.5, draws))[:, None]

    (metric,) = bootstrapped(figures, np.arange(2))
    assert (metric.low, metric.high) == (0.5, 0.5)
