"""Accuracy, precision, recall, F1, ROC-AUC and calibration are scikit-learn's, whatever the labels and answers are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from edgesdk.evaluate.metrics.calibration import Calibration
from edgesdk.evaluate.metrics.classes import ClassOutcomes
from edgesdk.evaluate.metrics.roc import OneVersusRest
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

CLOSE = 1e-6
LIMITS = settings(max_examples=150, deadline=None)


def once(n: int) -> Array:
    return np.ones((1, n), np.int64)


@st.composite
def outcomes(draw: st.DrawFn) -> ClassOutcomes:
    """Draw labels and answers: also one picture, one class only, classes that never occur, answers that are all wrong."""
    classes = draw(st.integers(1, 6))
    n = draw(st.integers(1, 40))
    some = st.integers(0, classes - 1)
    kind = draw(st.sampled_from(["random", "right", "one answer", "one class"]))
    truth = draw(st.lists(some, min_size=n, max_size=n))
    answered = truth if kind == "right" else draw(st.lists(some, min_size=n, max_size=n))
    if kind == "one answer":
        answered = [answered[0]] * n
    if kind == "one class":
        truth = [truth[0]] * n
    return ClassOutcomes(np.asarray(truth), np.asarray(answered), classes)


# scikit-learn warns of a class that is answered and never there, and of a single one.
@pytest.mark.filterwarnings("ignore::UserWarning:sklearn")
@given(outcomes())
@LIMITS
def test_classes_agree_with_scikit_learn(drawn: ClassOutcomes) -> None:
    truth, answered, every = drawn.truth, drawn.answered, list(range(drawn.classes))
    ours = drawn.figures(once(len(truth)))
    assert ours.accuracy[0] == pytest.approx(reference.accuracy_score(truth, answered), abs=CLOSE)
    assert ours.balanced_accuracy[0] == pytest.approx(reference.balanced_accuracy_score(truth, answered), abs=CLOSE)
    for mean in (None, "macro", "micro"):
        # Over all classes one by one, undefined where they are; in the means over those that occur.
        found = reference.precision_recall_fscore_support(
            truth, answered, labels=every, average=mean, zero_division=np.nan
        )
        if mean is None:
            for mine, theirs in zip((ours.precision[0], ours.recall[0], ours.f1[0]), found, strict=False):
                np.testing.assert_allclose(mine, theirs, atol=CLOSE)
        elif mean == "macro":
            mine = [ours.precision_macro[0], ours.balanced_accuracy[0], ours.f1_macro[0]]
            np.testing.assert_allclose(mine, found[:3], atol=CLOSE)
        else:
            np.testing.assert_allclose([ours.accuracy[0]] * 3, found[:3], atol=CLOSE)
    np.testing.assert_array_equal(drawn.confusion(), reference.confusion_matrix(truth, answered, labels=every))


@given(outcomes(), st.integers(0, 2**32 - 1))
@LIMITS
def test_a_draw_is_the_figure_of_the_drawn_pictures(drawn: ClassOutcomes, seed: int) -> None:
    """Weights stand for copies, so an interval rests on the same formula as its figure."""
    n = len(drawn.truth)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), 3)
    for row, weights in enumerate(counts):
        copies = np.repeat(np.arange(n), weights)
        laid_out = ClassOutcomes(drawn.truth[copies], drawn.answered[copies], drawn.classes).figures(once(n))
        weighted = drawn.figures(counts)
        for name in ("accuracy", "f1_macro", "precision", "recall", "f1"):
            np.testing.assert_allclose(getattr(weighted, name)[row], getattr(laid_out, name)[0], atol=CLOSE)


@st.composite
def rankings(draw: st.DrawFn) -> OneVersusRest:
    """Draw scores with many ties, also all alike, and labels of which a class may have none or all."""
    n, classes = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    values = draw(st.sampled_from([[0.5], [0.0, 1.0], [0.1, 0.2, 0.3, 0.4], list(np.linspace(-3, 1e6, 97))]))
    scores = draw(st.lists(st.sampled_from(values), min_size=n * classes, max_size=n * classes))
    positive = draw(st.lists(st.booleans(), min_size=n * classes, max_size=n * classes))
    return OneVersusRest(np.reshape(scores, (n, classes)), np.reshape(positive, (n, classes)))


@given(rankings())
@LIMITS
def test_roc_agrees_with_scikit_learn(drawn: OneVersusRest) -> None:
    areas = drawn.areas(once(len(drawn.scores)))[0]
    for c, area in enumerate(areas):
        truth, scores = drawn.positive[:, c], drawn.scores[:, c]
        if truth.all() or not truth.any():
            assert np.isnan(area)
            continue
        assert area == pytest.approx(reference.roc_auc_score(truth, scores), abs=CLOSE)
        false, true, _ = reference.roc_curve(truth, scores, drop_intermediate=False)
        mine = drawn.curve(c)
        np.testing.assert_allclose(mine[0], false, atol=CLOSE)
        np.testing.assert_allclose(mine[1], true, atol=CLOSE)


def test_roc_of_many_classes_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth, scores = rng.integers(0, 7, 400), rng.dirichlet(np.ones(7), 400)
    scores[np.arange(400), truth] += rng.random(400) * 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    areas = OneVersusRest(scores, truth[:, None] == np.arange(7)).areas(once(400))[0]
    assert areas.mean() == pytest.approx(reference.roc_auc_score(truth, scores, multi_class="ovr"), abs=CLOSE)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 20),
)
@LIMITS
def test_calibration_agrees_with_scikit_learns_bins(pairs: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = (np.asarray(column) for column in zip(*pairs, strict=True))
    ours = Calibration(confidence.astype(np.float64), right, bins)
    shares, means = calibration_curve(right, confidence, n_bins=bins)
    full = [one for one in ours.reliability() if one.n]
    np.testing.assert_allclose([one.accuracy for one in full], shares, atol=CLOSE)
    np.testing.assert_allclose([one.confidence for one in full], means, atol=CLOSE)
    sizes = np.asarray([one.n for one in full])
    assert sizes.sum() == len(pairs)
    error = (sizes / len(pairs) * np.abs(shares - means)).sum()
    assert ours.error(once(len(pairs)))[0] == pytest.approx(error, abs=CLOSE)


def test_calibration_by_hand() -> None:
    """Two at 0.9 of which one is right, two at 0.2 of which none is: (0.4 + 0.2) / 2."""
    found = Calibration(np.asarray([0.9, 0.9, 0.2, 0.2]), np.asarray([True, False, False, False]))
    assert found.error(once(4))[0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ClassOutcomes(np.asarray([0, 1]), np.asarray([0]), 2), "2 of truth, 1 of answered"),
        (lambda: ClassOutcomes(np.zeros(0, int), np.zeros(0, int), 2), "nothing to measure"),
        (lambda: ClassOutcomes(np.asarray([0, 2]), np.asarray([0, 1]), 2), "label is no class of 2: 2"),
        (lambda: ClassOutcomes(np.asarray([0, 1]), np.asarray([0, -1]), 2), "answer is no class of 2: -1"),
        (lambda: ClassOutcomes(np.asarray([0.0, 1.0]), np.asarray([0, 1]), 2), "label is no class"),
        (lambda: OneVersusRest(np.asarray([[np.nan, 1.0]]), np.ones((1, 2), bool)), "no finite number"),
        (lambda: OneVersusRest(np.ones((1, 3)), np.ones((1, 2), bool)), "do not fit"),
        (lambda: Calibration(np.asarray([0.5, np.nan]), np.ones(2, bool)), "no finite number, first at place 1"),
        (lambda: Calibration(np.asarray([0.5, 1.5]), np.ones(2, bool)), "no probabilities"),
        (lambda: Calibration(np.asarray([0.5]), np.ones(1, bool), 0), "one bin or more"),
    ],
    ids=["length", "empty", "label", "answer", "float label", "NaN score", "shape", "NaN", "logit", "bins"],
)
def test_what_cannot_be_measured_is_refused(build: object, says: str) -> None:
    assert callable(build)
    with pytest.raises(InputError, match=says):
        build()
