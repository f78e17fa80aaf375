"""A detector's precision, recall, F1 and confusions at the score from which its device counts a detection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.evaluation_page import evaluation_page
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.results import Detections

LABELS = ("cat", "dog")


def at(place: int) -> list[float]:
    """A box of ten pixels; two of different places do not meet."""
    return [20.0 * place, 0, 20.0 * place + 10, 10]


def truth(*boxes: tuple[int, int]) -> Truth:
    places = np.asarray([at(place) for place, _ in boxes], np.float64).reshape(-1, 4)
    return Truth(places, np.asarray([c for _, c in boxes], np.int64), np.zeros(len(boxes), bool))


def found(*boxes: tuple[int, int, float]) -> Detections:
    places = np.asarray([at(place) for place, _, _ in boxes], np.float32).reshape(-1, 4)
    scores = np.asarray([score for _, _, score in boxes], np.float32)
    return Detections(places, scores, np.asarray([c for _, c, _ in boxes], np.int64), LABELS)


# A cat found, a cat taken for a dog, a dog missed; a dog where nothing is; and weak ones below the threshold.
PICTURES = [
    (truth((0, 0), (1, 0), (2, 1)), found((0, 0, 0.9), (1, 1, 0.8), (3, 1, 0.7), (2, 1, 0.1))),
    (truth((0, 1)), found((0, 1, 0.6), (4, 0, 0.2))),
    (truth(), found()),
]


@pytest.fixture
def given() -> tuple[Dataset, Answers]:
    samples = tuple(BoxSample(Path(f"{i}.png"), one, fractions=False) for i, (one, _) in enumerate(PICTURES))
    results = tuple(answer for _, answer in PICTURES)
    thumbnails = np.random.default_rng(0).normal(size=(len(samples), 256)).astype(np.float32)
    answers = Answers(results, ((100, 100),) * len(samples), thumbnails, tuple(sample.path for sample in samples))
    return Dataset("detect", LABELS, samples), answers


def test_figures_are_those_of_the_detections_that_count(given: tuple[Dataset, Answers]) -> None:
    card = scorecard(*given, score_threshold=0.5)
    # Of four detections two are right, and of four objects two are found.
    assert [card.metrics[name].value for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert all(card.metrics[name].low < 0.5 < card.metrics[name].high for name in ("precision", "recall", "f1"))
    cat = {name: metric.value for name, metric in card.per_class["cat"].items()}
    assert (cat["precision"], cat["recall"], cat["f1"]) == (1.0, 0.5, pytest.approx(2 / 3))
    dog = {name: metric.value for name, metric in card.per_class["dog"].items()}
    assert (dog["precision"], dog["recall"], dog["f1"]) == (pytest.approx(1 / 3), 0.5, pytest.approx(0.4))
    # Lower, the weak count, too.
    lower = scorecard(*given, score_threshold=0.05).metrics
    assert (lower["precision"].value, lower["recall"].value) == (0.5, 0.75)
    none = scorecard(*given, score_threshold=0.95).metrics
    assert not none["precision"].is_defined
    assert (none["recall"].value, none["f1"].value) == (0.0, 0.0)
    assert "precision" not in scorecard(*given).metrics, "no threshold is known"


def test_a_class_of_one_picture_is_known_by_that_one_alone() -> None:
    """A hundred pictures without a dog do not tell how well dogs are found."""
    pairs = [(truth((0, 1)), found((0, 1, 0.9))), *[(truth((0, 0)), found((0, 0, 0.9)))] * 99]
    samples = tuple(BoxSample(Path(f"{i}.png"), one, fractions=False) for i, (one, _) in enumerate(pairs))
    thumbnails = np.random.default_rng(0).normal(0, 50, size=(len(samples), 256)).astype(np.float32)
    paths = tuple(sample.path for sample in samples)
    answers = Answers(tuple(answer for _, answer in pairs), ((100, 100),) * len(samples), thumbnails, paths)
    card = scorecard(Dataset("detect", LABELS, samples), answers, score_threshold=0.5)
    for metric in card.per_class["dog"].values():
        assert (metric.value, metric.n) == (1.0, 1)
        assert metric.low < 0.3
    for metric in (*card.metrics.values(), *card.per_class["cat"].values()):
        assert metric.n >= 99
        assert metric.low > 0.9


def test_what_is_taken_for_what_with_a_page(given: tuple[Dataset, Answers]) -> None:
    card = scorecard(*given, score_threshold=0.5)
    assert card.boxes is not None
    assert card.to_json()["confusion"] == {
        "labels": ["cat", "dog", "nothing"],
        "counts": [[1, 1, 0], [0, 1, 1], [0, 1, 0]],
    }
    recall, precision = card.boxes.curves["dog"]
    assert recall.tolist() == [0, 0, 0.5, 1.0]
    assert precision.tolist() == [0, 0, pytest.approx(1 / 3), 0.5]
    page = evaluation_page("m", "none", card, 3, None).html()
    assert "from a score of 0.5 on" in page
    assert page.count("<svg") == 2
