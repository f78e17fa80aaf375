"""What lies at a threshold may fall on either side of it; what does not may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.golden.expected_result import ExpectedObjects, ExpectedText, Tolerance, expected_from
from edgesdk_targets.golden.result_distance import cosine_off, difference, edits
from edgesdk_targets.results import Classification, Detections, Embedding, Regression, Text

SETTINGS = Postprocess(score_threshold=0.5, iou_threshold=0.45)
TOLERANCE = Tolerance(score=0.02, box=1.0, cosine=0.001, value=0.1)
BOX = (10.0, 10.0, 50.0, 50.0)
FAR = (200.0, 200.0, 240.0, 260.0)


def objects(*found: tuple[int, float, Sequence[float]]) -> Any:
    return expected_from(
        Detections(
            np.asarray([box for *_, box in found], np.float32).reshape(-1, 4),
            np.asarray([score for _, score, _ in found], np.float32),
            np.asarray([class_id for class_id, *_ in found], np.int64),
            ("ant", "bee", "cat"),
        )
    )


def moved(box: Sequence[float], by: float) -> tuple[float, ...]:
    return tuple(side + by for side in box)


@pytest.mark.parametrize(
    ("got", "same"),
    [
        pytest.param([(0, 0.9, BOX), (1, 0.7, FAR)], True, id="the same"),
        pytest.param([(0, 0.89, moved(BOX, 0.8)), (1, 0.71, FAR)], True, id="within the tolerance"),
        pytest.param([(0, 0.9, BOX), (1, 0.7, FAR), (2, 0.51, moved(BOX, 90))], True, id="one more at the threshold"),
        pytest.param([(0, 0.9, BOX), (1, 0.7, FAR), (2, 0.3, moved(BOX, 90))], False, id="one more far below it"),
        pytest.param([(0, 0.9, BOX), (1, 0.7, FAR), (2, 0.8, moved(BOX, 90))], False, id="one more above it"),
        pytest.param([(0, 0.9, BOX)], False, id="one less"),
        pytest.param([(0, 0.9, moved(BOX, 8)), (1, 0.7, FAR)], False, id="a box elsewhere"),
        pytest.param([(0, 0.8, BOX), (1, 0.7, FAR)], False, id="another score"),
        pytest.param([(1, 0.9, BOX), (1, 0.7, FAR)], False, id="another class"),
        pytest.param([(0, 0.9, BOX), (0, 0.6, moved(BOX, 8)), (1, 0.7, FAR)], True, id="overlaps just at the limit"),
        pytest.param([(0, 0.9, BOX), (0, 0.6, moved(BOX, 2)), (1, 0.7, FAR)], False, id="overlaps far above the limit"),
    ],
)
def test_objects(got: list[tuple[int, float, Sequence[float]]], same: bool) -> None:
    wanted = objects((0, 0.9, BOX), (1, 0.7, FAR))
    assert (difference(wanted, objects(*got), TOLERANCE, SETTINGS) is None) is same


def test_what_was_unsteady_may_come_or_go() -> None:
    steady = objects((0, 0.9, BOX), (1, 0.7, FAR))
    loose = steady.objects[1].model_copy(update={"steady": False})
    wanted = ExpectedObjects(kind="detections", objects=(steady.objects[0], loose))
    assert difference(wanted, objects((0, 0.9, BOX)), TOLERANCE, SETTINGS) is None
    assert difference(wanted, steady, TOLERANCE, SETTINGS) is None


def test_a_full_list_may_end_elsewhere() -> None:
    full = Postprocess(score_threshold=0.1, max_detections=2)
    wanted = objects((0, 0.9, BOX), (1, 0.7, FAR))
    assert difference(wanted, objects((0, 0.9, BOX), (2, 0.71, moved(BOX, 90))), TOLERANCE, full) is None


def classes(*found: tuple[int, float]) -> Any:
    ids, scores = np.asarray([i for i, _ in found]), np.asarray([s for _, s in found], np.float32)
    return expected_from(Classification(ids, scores, tuple("abcdef")))


@pytest.mark.parametrize(
    ("got", "same"),
    [
        pytest.param([(0, 0.5), (1, 0.3)], True, id="the same"),
        pytest.param([(0, 0.505), (2, 0.305)], True, id="another one at the end of the list"),
        pytest.param([(1, 0.5), (0, 0.3)], False, id="changed places"),
        pytest.param([(0, 0.5), (2, 0.4)], False, id="a class from nowhere"),
        pytest.param([(0, 0.6), (1, 0.3)], False, id="another score"),
        pytest.param([(0, 0.5)], False, id="fewer classes"),
    ],
)
def test_classes(got: list[tuple[int, float]], same: bool) -> None:
    assert (difference(classes((0, 0.5), (1, 0.3)), classes(*got), TOLERANCE, SETTINGS) is None) is same


def test_of_two_classes_that_score_alike_either_may_be_first() -> None:
    assert difference(classes((0, 0.40), (1, 0.39)), classes((1, 0.40), (0, 0.39)), TOLERANCE, SETTINGS) is None


def test_a_text_may_differ_where_it_was_unsure() -> None:
    sure, unsure = (ExpectedText(kind="text", text="hello", confidence=0.9, unsure=n) for n in (0, 1))
    other = expected_from(Text("hallo", 0.8))
    assert difference(sure, other, TOLERANCE, SETTINGS) is not None
    assert difference(unsure, other, TOLERANCE, SETTINGS) is None
    assert [edits(a, b) for a, b in (("", "ab"), ("kitten", "sitting"), ("x", "x"))] == [2, 3, 0]


def test_vectors_and_values() -> None:
    vector, values = expected_from(Embedding(np.asarray([1.0, 0.0]))), expected_from(Regression(np.asarray([3.0])))
    near, far = (expected_from(Embedding(np.asarray([1.0, y]))) for y in (0.01, 0.2))
    assert difference(vector, near, TOLERANCE, SETTINGS) is None
    assert difference(vector, far, TOLERANCE, SETTINGS) is not None
    assert cosine_off([0.0, 0.0], [1.0, 0.0]) == 2.0
    for value, same in ((3.05, True), (3.2, False)):
        other = expected_from(Regression(np.asarray([value])))
        assert (difference(values, other, TOLERANCE, SETTINGS) is None) is same
    assert difference(vector, values, TOLERANCE, SETTINGS) is not None
