"""Folds of evaluation: every picture in one, classes even, groups whole, mean and spread right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesdk.cross_validation.folds import across_folds, fold_numbers
from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification

LABELS = ("a", "b")
COUNT = 40
PATHS = tuple(Path(f"{i}.png") for i in range(COUNT))


@pytest.fixture
def dataset() -> Dataset:
    return Dataset("classify", LABELS, tuple(ClassSample(path, frozenset({i % 2})) for i, path in enumerate(PATHS)))


@pytest.fixture
def answers() -> Answers:
    """Right on the first half."""
    results = tuple(
        Classification(np.asarray([i % 2 if i < COUNT // 2 else 1 - i % 2]), np.asarray([0.9], np.float32), LABELS)
        for i in range(COUNT)
    )
    noise = np.random.default_rng(3).normal(0, 50, (COUNT, 256)).astype(np.float32)
    return Answers(results, ((8, 8),) * COUNT, noise, PATHS)


def test_each_class_is_even_over_the_folds(dataset: Dataset, answers: Answers) -> None:
    numbers = fold_numbers(dataset, answers.thumbnails, 4)
    for fold in range(4):
        mine = [place % 2 for place, number in enumerate(numbers) if number == fold]
        assert len(mine) == 10
        assert sum(mine) == 5


def test_frames_of_one_clip_stay_in_one_fold(dataset: Dataset, answers: Answers) -> None:
    clips = {path: f"clip-{i // 4}" for i, path in enumerate(PATHS)}
    grouped = Dataset(dataset.task, dataset.labels, dataset.samples, clips)
    numbers = fold_numbers(grouped, answers.thumbnails, 5)
    assert all(len(set(numbers[start : start + 4])) == 1 for start in range(0, COUNT, 4))
    assert len(set(numbers)) == 5


def test_mean_and_spread_are_those_of_the_folds(dataset: Dataset, answers: Answers) -> None:
    numbers = [place // 10 for place in range(COUNT)]
    found = across_folds(dataset, answers, numbers)["top1"]
    assert found.values == (1.0, 1.0, 0.0, 0.0)
    assert found.mean == 0.5
    assert found.sd == pytest.approx(np.std([1, 1, 0, 0], ddof=1))


def test_more_folds_than_pictures_are_refused(dataset: Dataset, answers: Answers) -> None:
    with pytest.raises(InputError, match="cannot be divided into 41"):
        fold_numbers(dataset, answers.thumbnails, 41)
