"""The figures are torchmetrics', too."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk.evaluate.metrics.calibration import Calibration
from edgesdk.evaluate.metrics.classes import ClassOutcomes
from edgesdk.evaluate.metrics.numbers import Estimates
from edgesdk.evaluate.metrics.roc import OneVersusRest
from edgesdk.evaluate.text_error import character_errors, true_lengths, word_errors

torch = pytest.importorskip("torch")
classification = pytest.importorskip("torchmetrics.functional.classification", exc_type=ImportError)
regression = pytest.importorskip("torchmetrics.functional.regression", exc_type=ImportError)
text = pytest.importorskip("torchmetrics.functional.text", exc_type=ImportError)

pytestmark = pytest.mark.filterwarnings("ignore")
CLOSE = 1e-6
KINDS = ("random", "few scores", "all right", "one answer", "a class missing", "constant scores")


def draw(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (n,) and probabilities (n, C)."""
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(20, 200)), int(rng.integers(2, 7))
    truth = rng.integers(0, count, n)
    truth[:count] = np.arange(count)
    if kind == "a class missing":
        truth[truth == count - 1] = 0
    scores = rng.dirichlet(np.ones(count), n)
    change = {
        "few scores": lambda: np.round(scores * 8) + 1,
        "all right": lambda: np.eye(count)[truth] + scores,
        "one answer": lambda: scores + 2 * np.eye(count)[0],
        "constant scores": lambda: np.ones((n, count)),
    }.get(kind, lambda: scores)
    changed = change()
    return truth, changed / changed.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_classes(kind: str, seed: int) -> None:
    truth, scores = draw(kind, seed)
    n, count = scores.shape
    answered, once = scores.argmax(axis=1), np.ones((1, n), np.int64)
    ours = ClassOutcomes(truth, answered, count).figures(once)
    answers, labels, given = torch.from_numpy(answered), torch.from_numpy(truth), torch.from_numpy(scores)
    args = {"num_classes": count}
    for name, mine in (("precision", ours.precision), ("recall", ours.recall), ("f1_score", ours.f1)):
        call = getattr(classification, f"multiclass_{name}")
        theirs = call(answers, labels, average="none", **args).numpy()
        # What is not defined is 0 there.
        np.testing.assert_allclose(np.nan_to_num(mine[0]), theirs, atol=CLOSE)
        micro = float(call(answers, labels, average="micro", **args))
        assert ours.accuracy[0] == pytest.approx(micro, abs=CLOSE)
    f1 = float(classification.multiclass_f1_score(answers, labels, average="macro", **args))
    assert ours.f1_macro[0] == pytest.approx(f1, abs=CLOSE)
    if not np.isnan(ours.precision).any():
        precision = float(classification.multiclass_precision(answers, labels, average="macro", **args))
        assert ours.precision_macro[0] == pytest.approx(precision, abs=CLOSE)
    if kind != "a class missing":
        balanced = float(classification.multiclass_accuracy(answers, labels, average="macro", **args))
        assert ours.balanced_accuracy[0] == pytest.approx(balanced, abs=CLOSE)
    confusion = classification.multiclass_confusion_matrix(answers, labels, **args)
    np.testing.assert_array_equal(ClassOutcomes(truth, answered, count).confusion(), confusion.numpy())
    areas = OneVersusRest(scores, truth[:, None] == np.arange(count)).areas(once)[0]
    theirs = classification.multiclass_auroc(given, labels, average="none", thresholds=None, **args).numpy()
    there = ~np.isnan(areas)
    np.testing.assert_allclose(areas[there], theirs[there], atol=CLOSE)
    # In single precision as there, away from the bins' edges, which belong to the bin below here and above there.
    confidence = scores.max(axis=1).astype(np.float32).astype(np.float64)
    if np.abs(confidence[:, None] * 15 - np.arange(1, 16)).min() > 1e-5:
        ece = float(classification.multiclass_calibration_error(given.float(), labels, n_bins=15, norm="l1", **args))
        assert Calibration(confidence, truth == answered).error(once)[0] == pytest.approx(ece, abs=CLOSE)
    else:
        assert kind in {"few scores", "constant scores"}


@pytest.mark.parametrize("seed", range(10))
def test_numbers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 10, (50, 3))
    answered = truth + rng.normal(0, 10.0 ** -(seed % 4), (50, 3))
    ours, once = Estimates(truth, answered), np.ones((1, 50), np.int64)
    pair = (torch.from_numpy(answered), torch.from_numpy(truth))
    for column in range(3):
        one = (pair[0][:, column].contiguous(), pair[1][:, column].contiguous())
        for mine, call in (
            (ours.squared(once), regression.mean_squared_error),
            (ours.absolute(once), regression.mean_absolute_error),
            (ours.explained(once), regression.r2_score),
        ):
            assert mine[0, column] == pytest.approx(float(call(*one)), rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("seed", range(10))
def test_texts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = ["alpha", "beta", "x", "Ünder", "12", ""]
    truth = [" ".join(rng.choice(words, 6)) for _ in range(20)]
    read = [" ".join(rng.choice(words, 6)) for _ in range(20)]
    cer = character_errors(read, truth).sum() / true_lengths(truth).sum()
    assert cer == pytest.approx(float(text.char_error_rate(read, truth)), abs=CLOSE)
    wer = word_errors(read, truth).sum() / sum(len(one.split()) for one in truth)
    assert wer == pytest.approx(float(text.word_error_rate(read, truth)), abs=CLOSE)
