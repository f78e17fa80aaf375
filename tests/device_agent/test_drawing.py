"""Drawing: what is said is said in words too, and every pixel that changes belongs to the result."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk_agent.drawing import describe, draw_result
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text

NAMES = ("cat", "dog", "bird", "fish")
BOX = (40.0, 60.0, 120.0, 130.0)


def detections(*boxes: tuple[float, float, float, float], classes: tuple[int, ...] | None = None) -> Detections:
    count = len(boxes)
    ids = classes if classes is not None else (1,) * count
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32) if count else np.zeros(0, np.float32),
        np.asarray(ids, np.int64),
        NAMES,
    )


def changed(result: Result, height: int = 200, width: int = 300) -> np.ndarray:
    """Return which pixels drawing touched, (H, W) bool."""
    image = np.full((height, width, 3), 7, np.uint8)
    draw_result(image, result)
    return np.any(image != 7, axis=2)


def test_a_box_is_drawn_along_its_edges_and_not_inside() -> None:
    touched = changed(detections(BOX))
    for x, y in ((40, 95), (120, 95), (80, 130), (80, 60)):
        assert touched[y, x]
    assert not touched[90:120, 60:110].any()
    assert not touched[:, 150:].any()
    assert touched[45:60, 40:80].any(), "the label stands above the box"


def test_no_detection_leaves_the_picture_alone() -> None:
    """Negative control of the test above."""
    assert not changed(detections()).any()


def test_classes_have_colours_of_their_own() -> None:
    def colour(class_id: int) -> tuple[int, ...]:
        image = np.zeros((200, 300, 3), np.uint8)
        draw_result(image, detections(BOX, classes=(class_id,)))
        return tuple(int(v) for v in image[95, 40])

    colours = {colour(i) for i in range(4)}
    assert len(colours) == 4
    assert all(max(c) > 100 for c in colours)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((-50.0, -50.0, 1000.0, 1000.0), id="larger than the picture"),
        pytest.param((290.0, 190.0, 299.0, 199.0), id="in the corner"),
        pytest.param((10.0, 0.0, 30.0, 4.0), id="no room above for the label"),
        pytest.param((5.0, 5.0, 5.0, 5.0), id="empty"),
    ],
)
def test_boxes_at_the_border_do_no_harm(box: tuple[float, float, float, float]) -> None:
    assert changed(detections(box)).any()


def test_a_label_at_the_right_border_is_moved_inside() -> None:
    touched = changed(detections((290.0, 100.0, 299.0, 150.0)))
    assert touched[85:99, 230:290].any()


def test_tiny_pictures_can_be_drawn_on() -> None:
    assert changed(detections((1, 1, 6, 6)), 8, 8).any()


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        (detections(BOX, (0.0, 0.0, 9.0, 9.0)), ["dog 0.90", "dog 0.50"]),
        (detections(), ["nothing"]),
        (
            Classification(np.asarray([2, 0, 1, 3]), np.asarray([0.5, 0.3, 0.15, 0.05], np.float32), NAMES),
            ["bird 0.50", "cat 0.30", "dog 0.15"],
        ),
        (Classification(np.asarray([7]), np.asarray([1.0], np.float32)), ["7 1.00"]),
        (Text("4711", 0.987), ["'4711' 0.99"]),
        (Embedding(np.asarray([3, 4], np.float32)), ["embedding of 2, norm 5.000"]),
        (Regression(np.asarray([1.5, 2.0], np.float32), ("width",)), ["width 1.500", "1 2.000"]),
    ],
)
def test_every_result_is_told_in_words(result: Result, lines: list[str]) -> None:
    assert describe(result) == lines


@pytest.mark.parametrize(
    "result",
    [
        Classification(np.asarray([2, 0]), np.asarray([0.5, 0.3], np.float32), NAMES),
        Text("4711", 0.9),
        Embedding(np.ones(4, np.float32)),
        Regression(np.asarray([1.5], np.float32)),
    ],
)
def test_results_without_a_place_are_written_in_the_corner(result: Result) -> None:
    touched = changed(result)
    assert touched[:60].any()
    assert not touched[100:].any()


def test_an_answer_to_a_crop_stands_beside_its_detection() -> None:
    found = detections(BOX, (10.0, 140.0, 60.0, 190.0))
    chained = Chained(found, (Text("AB 12", 0.9), None))
    assert describe(chained) == ["dog 0.90: 'AB 12' 0.90", "dog 0.50"]
    assert changed(chained)[:, :].sum() > changed(found).sum()
    assert describe(Chained(detections(), ())) == ["nothing"]
