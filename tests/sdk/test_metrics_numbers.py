"""MSE, MAE and R² are scikit-learn's; character and word errors are those of a textbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from edgesdk.evaluate.metrics.bootstrap import rate
from edgesdk.evaluate.metrics.numbers import Estimates
from edgesdk.evaluate.text_error import character_errors, word_errors
from edgesdk_targets.errors import InputError

CLOSE = 1e-6
LIMITS = settings(max_examples=150, deadline=None)
NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e4, 1e4, width=32).map(float))


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=30), st.booleans())
@LIMITS
def test_numbers_agree_with_scikit_learn(rows: list[tuple[float, ...]], alike: bool) -> None:
    table = np.asarray(rows)
    truth, answered = table[:, :2].copy(), table[:, 2:]
    if alike:
        truth[:, 0] = truth[0, 0]
    draws = np.ones((1, len(rows)), np.int64)
    ours = Estimates(truth, answered)
    squared = reference.mean_squared_error(truth, answered, multioutput="raw_values")
    np.testing.assert_allclose(ours.squared(draws)[0], squared, rtol=CLOSE, atol=CLOSE)
    absolute = reference.mean_absolute_error(truth, answered, multioutput="raw_values")
    np.testing.assert_allclose(ours.absolute(draws)[0], absolute, rtol=CLOSE, atol=CLOSE)
    for column in range(2):
        explained = ours.explained(draws)[0, column]
        if np.ptp(truth[:, column]) == 0:
            assert np.isnan(explained)
        elif truth[:, column].std() > 1e-4 * np.abs(truth[:, column]).max():
            theirs = reference.r2_score(truth[:, column], answered[:, column])
            assert explained == pytest.approx(theirs, rel=CLOSE, abs=CLOSE)


def test_labels_far_from_zero_keep_their_variance() -> None:
    truth = 1e9 + np.asarray([[0.0], [1.0], [2.0], [3.0]])
    answered = truth + np.asarray([[0.1], [-0.2], [0.3], [0.0]])
    ours = Estimates(truth, answered).explained(np.ones((1, 4), np.int64))[0, 0]
    assert ours == pytest.approx(reference.r2_score(truth, answered), abs=CLOSE)


@pytest.mark.parametrize(
    ("truth", "answered", "says"),
    [
        (np.ones((3, 1)), np.ones((2, 1)), "3 of truth, 2 of answered"),
        (np.ones((3, 2)), np.ones((3, 1)), "do not fit"),
        (np.ones((0, 1)), np.ones((0, 1)), "nothing to measure"),
        (np.ones((2, 1)), np.asarray([[1.0], [np.inf]]), "answered holds what is no finite number"),
        (np.asarray([[np.nan]]), np.ones((1, 1)), "truth holds what is no finite number"),
    ],
    ids=["length", "width", "empty", "infinite", "NaN"],
)
def test_numbers_that_cannot_be_measured(truth: np.ndarray, answered: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Estimates(truth, answered)


def edits(read: list[str], truth: list[str]) -> int:
    """Count edits as Wagner and Fischer (1974) do."""
    row = list(range(len(truth) + 1))
    for i, a in enumerate(read, 1):
        before, row = row, [i]
        for j, b in enumerate(truth, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


TEXTS = st.text("ab é", max_size=8)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
@LIMITS
def test_errors_of_characters_and_words(pairs: list[tuple[str, str]]) -> None:
    read, truth = ([*column] for column in zip(*pairs, strict=True))
    assert character_errors(read, truth).tolist() == [edits([*a], [*b]) for a, b in pairs]
    assert word_errors(read, truth).tolist() == [edits(a.split(), b.split()) for a, b in pairs]


def test_a_rate_of_nothing_is_not_defined() -> None:
    metric = rate(np.asarray([1, 0]), np.asarray([0, 0]), np.arange(2))
    assert not metric.is_defined
    assert metric.to_json() == {"value": None, "low": None, "high": None, "n": 2}
    assert metric.in_words() == ("undefined", "")
