"""A cascade's threshold: what each costs and gives, which is chosen, and what it gives elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesdk.together.doubt import Answered, Budget, at, at_budgets, choose, curve, held_out
from edgesdk_targets.errors import InputError


def _answered(count: int = 200, seed: int = 0) -> Answered:
    """A first model that knows when it is wrong, and a second that is right nearly always."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1.0, count)
    first = rng.random(count) < confidence
    second = rng.random(count) < 0.95
    return Answered(confidence, first, second, np.arange(count), (1.0, 4.0))


def test_each_point_is_what_its_threshold_gives() -> None:
    answered = _answered()
    for point in curve(answered):
        again = at(answered, point.threshold)
        assert again.share == pytest.approx(point.share)
        assert again.accuracy == pytest.approx(point.accuracy)
        assert again.ms == pytest.approx(point.ms)


def test_it_begins_with_the_first_model_alone_and_ends_with_the_second() -> None:
    answered = _answered()
    points = curve(answered)
    assert (points[0].share, points[-1].share) == (0.0, 1.0)
    assert points[0].accuracy == pytest.approx(answered.first.mean())
    assert points[-1].accuracy == pytest.approx(answered.second.mean())
    assert points[-1].ms == pytest.approx(5.0)


def test_a_picture_of_the_seconds_own_costs_in_doubt_or_not() -> None:
    shared = _answered(400)
    own = replace(shared, prepare_ms=0.5)
    for one, other in zip(curve(shared), curve(own), strict=True):
        assert (one.threshold, one.share, one.accuracy) == (other.threshold, other.share, other.accuracy)
        assert other.ms == pytest.approx(one.ms + 0.5)
    # For the same time fewer pictures can be asked about; a member alone costs what it did.
    budget = Budget(ms=2.0)
    assert choose(curve(own), budget).share < choose(curve(shared), budget).share
    kept = held_out(own, budget)
    assert kept is not None
    assert kept.ms == pytest.approx(own.mean_ms(kept.share))
    rows = at_budgets(own)
    assert (rows[0].ms, rows[-1].ms) == (pytest.approx(1.5), pytest.approx(5.5))
    assert rows[0].member == "first"
    with pytest.raises(InputError, match=r"takes 1\.5 ms even where the second model is never asked"):
        choose(curve(own), Budget(ms=1.2))


def test_equal_confidences_are_passed_on_together() -> None:
    answered = Answered(
        np.asarray([0.5, 0.5, 0.9]), np.asarray([False, True, True]), np.asarray([True] * 3), np.arange(3), (1.0, 1.0)
    )
    assert [point.share for point in curve(answered)] == [0.0, pytest.approx(2 / 3), 1.0]


def test_pictures_of_one_clip_count_as_one() -> None:
    answered = Answered(
        np.asarray([0.4, 0.6, 0.8, 0.9]),
        np.asarray([False, False, False, True]),
        np.asarray([True] * 4),
        np.asarray([0, 0, 0, 1]),
        (1.0, 1.0),
    )
    assert curve(answered)[0].accuracy == pytest.approx(0.5)


class TestChoice:
    def test_the_best_within_a_budget(self) -> None:
        points = curve(_answered())
        for ms in (1.0, 2.0, 3.0):
            chosen = choose(points, Budget(ms=ms))
            assert chosen.ms <= ms
            assert all(point.accuracy <= chosen.accuracy for point in points if point.ms <= ms)
        assert choose(points, Budget(share=0.1)).share <= 0.1

    def test_the_cheapest_that_is_good_enough(self) -> None:
        points = curve(_answered())
        chosen = choose(points, Budget(accuracy=0.9))
        assert chosen.accuracy >= 0.9
        assert all(point.accuracy < 0.9 for point in points if point.ms < chosen.ms)
        usual = choose(points, Budget())
        assert usual.accuracy >= points[-1].accuracy - 0.01

    def test_what_cannot_be_kept_is_said_with_how_near_it_comes(self) -> None:
        points = curve(_answered())
        with pytest.raises(InputError, match=r"takes 1 ms even where the second model is never asked; 0\.5 are"):
            choose(points, Budget(ms=0.5))
        with pytest.raises(InputError, match="No threshold reaches 1: the best gives 0"):
            choose(points, Budget(accuracy=1.0))


class TestHeldOut:
    def test_it_is_no_better_than_what_was_chosen_on(self) -> None:
        """Over many sets the choice flatters itself; what is held out does not."""
        flattered = []
        for seed in range(20):
            answered = _answered(60, seed)
            kept = held_out(answered, Budget(share=0.3))
            assert kept is not None
            flattered.append(choose(curve(answered), Budget(share=0.3)).accuracy - kept.accuracy)
        assert np.mean(flattered) > 0

    def test_of_few_pictures_nothing_is_known(self) -> None:
        assert held_out(_answered(8), Budget()) is None


def test_at_a_budget_the_cascade_stands_beside_the_best_member_that_fits() -> None:
    answered = _answered(400)
    rows = at_budgets(answered)
    assert rows[0].member == "first"
    assert rows[-1].member == "second"
    assert all(row.cascade is not None for row in rows)
    # Between the two, the first alone is all that a single model could give.
    assert sum((row.gained or 0) > 0.02 for row in rows if row.ms < 4.0) >= 2


def test_at_a_budget_a_cascade_does_not_gain_by_the_luck_of_its_threshold() -> None:
    """A confidence that tells nothing, and two models as good as each other: asking the other now and then gains nothing."""
    gained, flattered = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        answered = Answered(rng.random(80), rng.random(80) < 0.8, rng.random(80) < 0.8, np.arange(80), (1.0, 4.0))
        row = at_budgets(answered, 3)[1]
        assert row.gained is not None
        gained.append(row.gained)
        flattered.append(max(p.accuracy for p in curve(answered) if p.ms <= row.ms) - row.single)
    # The negative control: measured on the pictures that chose, it would seem to.
    assert np.mean(flattered) > 0.02
    assert abs(np.mean(gained)) < np.mean(flattered) / 2


def test_of_few_pictures_no_budget_is_judged() -> None:
    assert {row.gained for row in at_budgets(_answered(8))} == {None}
