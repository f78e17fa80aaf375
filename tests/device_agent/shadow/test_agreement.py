"""How far two answers are apart, task by task; and which frames show something new."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk_agent.shadow.agreement import Agreement
from edgesdk_agent.shadow.scenes import Scenes, thumbnail
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text
from edgesdk_targets.tensor import Array

NAMES = ("ant", "bee", "cat")
PLACES = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 0, 60, 20]], np.float32)


def found(*what: tuple[int, int, float], names: tuple[str, ...] = NAMES) -> Detections:
    """Return objects as (place, class, score)."""
    boxes = PLACES[[place for place, _, _ in what]].reshape(-1, 4)
    scores = np.array([score for _, _, score in what], np.float32)
    return Detections(boxes, scores, np.array([one for _, one, _ in what], np.int64), names)


def best(*ids: int, names: tuple[str, ...] = NAMES) -> Classification:
    return Classification(np.array(ids), np.linspace(0.9, 0.1, len(ids), dtype=np.float32), names)


def differs(one: Result, other: Result) -> tuple[float | None, dict[str, float]]:
    said = Agreement(0.5).difference(one, other)
    return said.whole, dict(said.classes)


def test_objects_by_their_names_and_places() -> None:
    two = found((0, 0, 0.9), (1, 1, 0.9))
    assert differs(two, two) == (0.0, {"ant": 0.0, "bee": 0.0})
    assert differs(two, found((0, 0, 0.8))) == (pytest.approx(1 / 3), {"ant": 0.0, "bee": 1.0})
    assert differs(two, found((0, 1, 0.9), (1, 1, 0.9))) == (0.5, {"ant": 1.0, "bee": 0.0})
    assert differs(two, found((0, 0, 0.9), (1, 1, 0.9), (2, 2, 0.9)))[0] == pytest.approx(0.2)
    # Numbered otherwise, called alike.
    assert differs(two, found((0, 2, 0.9), (1, 0, 0.9), names=("bee", "cat", "ant")))[0] == 0.0
    assert differs(two, found((0, 0, 0.9), (1, 1, 0.9), names=("bee", "ant", "cat")))[0] == 1.0


def test_nothing_on_both_sides_says_nothing() -> None:
    assert differs(found(), found()) == (None, {})
    assert differs(found(), found((0, 0, 0.9)))[0] == 1.0
    # What only just passes the threshold may come or go.
    assert differs(found((0, 0, 0.55)), found()) == (None, {})
    assert differs(found(), found((0, 0, 0.55))) == (None, {})


def test_of_a_chain_what_it_found() -> None:
    chained = Chained(found((0, 0, 0.9)), (best(1),))
    assert differs(chained, found((0, 0, 0.9))) == (0.0, {"ant": 0.0})


def test_classes_texts_and_vectors() -> None:
    assert differs(best(1, 0), best(1, 2)) == (0.0, {"bee": 0.0})
    assert differs(best(1, 0), best(0, 1)) == (1.0, {"bee": 1.0})
    assert differs(best(1), best(0, names=("bee", "ant"))) == (0.0, {"bee": 0.0})
    assert differs(Text("ABCD", 0.9), Text("ABXD", 0.9))[0] == 0.25
    assert differs(Text("", 0.0), Text("", 0.0))[0] is None
    assert differs(Embedding(np.array([1.0, 0.0])), Embedding(np.array([2.0, 0.1])))[0] == 0.0
    assert differs(Embedding(np.array([1.0, 0.0])), Embedding(np.array([0.0, 1.0])))[0] == 1.0
    assert differs(best(1), Text("bee", 1.0))[0] == 1.0


def test_what_is_no_number_is_the_candidates_fault_and_the_running_models_is_nobodys() -> None:
    broken, whole = Embedding(np.array([np.nan, 1.0])), Embedding(np.array([0.0, 1.0]))
    assert differs(whole, broken)[0] == 1.0
    assert differs(broken, whole)[0] is None


def test_numbers_by_how_they_spread() -> None:
    agreement = Agreement()

    def said(value: float, other: float) -> float | None:
        names = ("size",)
        return agreement.difference(Regression(np.array([value]), names), Regression(np.array([other]), names)).whole

    assert [said(float(value), float(value)) for value in range(8)] == [None] * 8
    assert (said(4.0, 4.1), said(4.0, 5.0), said(4.0, float("nan"))) == (0.0, 1.0, 1.0)


@pytest.fixture
def picture() -> Array:
    random = np.random.default_rng(5)
    coarse = random.integers(0, 255, (9, 16, 3), np.uint8)
    return np.repeat(np.repeat(coarse, 40, axis=0), 40, axis=1)


def test_a_scene_begins_with_what_looks_otherwise(picture: Array) -> None:
    random, scenes = np.random.default_rng(6), Scenes(apart_s=1.0)

    def noisy(image: Array) -> Array:
        return np.clip(image + random.normal(0, 5, image.shape), 0, 255).astype(np.uint8)

    assert scenes.begins("gate", 0.0, picture)
    assert not any(scenes.begins("gate", 2.0 + at, noisy(picture)) for at in range(5))
    other = picture.copy()
    other[:120, :160] = 255 - other[:120, :160]
    assert not scenes.begins("gate", 0.5, other)  # too close
    assert scenes.begins("gate", 9.0, other)
    # Each camera has its own.
    assert scenes.begins("door", 9.1, other)
    assert not scenes.begins("gate", 12.0, other)


@pytest.mark.parametrize("size", [(16, 16), (17, 300), (8, 8), (1080, 1920)], ids=str)
def test_thumbnails_are_of_one_size(size: tuple[int, int]) -> None:
    assert thumbnail(np.zeros((*size, 3), np.uint8)).shape == (16, 16)
