from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.crop import CropRule
from edgesdk_targets.results import Detections

SIZE = (100, 200)  # height, width


def found(*boxes: tuple[float, float, float, float], ids: tuple[int, ...] = ()) -> Detections:
    count = len(boxes)
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.asarray(ids or [0] * count, np.int64),
        ("car", "bus"),
    )


@pytest.mark.parametrize(
    ("rule", "box", "window"),
    [
        (CropRule(margin=0), (10, 20, 30, 60), (10, 20, 30, 60)),
        (CropRule(margin=0), (10.6, 20.2, 29.4, 59.5), (10, 20, 30, 60)),
        (CropRule(margin=0.5), (40, 20, 60, 40), (30, 10, 70, 50)),
        (CropRule(margin=0, square=True), (40, 20, 60, 60), (30, 20, 70, 60)),
        (CropRule(margin=0.25, square=True), (40, 30, 60, 70), (20, 20, 80, 80)),
        # At the border: clipped, and no longer square.
        (CropRule(margin=0, square=True), (0, 20, 20, 60), (0, 20, 30, 60)),
        (CropRule(margin=1.0), (190, 90, 200, 100), (180, 80, 200, 100)),
        # Outside the picture one pixel is left.
        (CropRule(margin=0), (300, 300, 400, 400), (199, 99, 200, 100)),
        (CropRule(margin=0), (-90, -90, -50, -50), (0, 0, 1, 1)),
    ],
)
def test_the_window(rule: CropRule, box: tuple[float, ...], window: tuple[int, ...]) -> None:
    assert rule.window(box, SIZE) == window


def test_a_window_always_lies_in_the_picture() -> None:
    random = np.random.default_rng(1)
    for _ in range(3000):
        x, y, w, h = random.uniform((-50, -50, 0, 0), (400, 400, 300, 300))
        rule = CropRule(margin=random.uniform(0, 3), square=bool(random.integers(2)))
        left, top, right, bottom = rule.window((x, y, x + w, y + h), SIZE)
        assert 0 <= left < right <= SIZE[1]
        assert 0 <= top < bottom <= SIZE[0]


def test_a_crop_is_a_view_of_the_picture() -> None:
    image = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    crop = CropRule(margin=0).crop(image, np.array([10, 20, 30, 60], np.float32))
    assert np.shares_memory(crop, image)
    np.testing.assert_array_equal(crop, image[20:60, 10:30])


class TestChosen:
    BOXES = ((0, 0, 20, 20), (30, 0, 34, 20), (60, 0, 80, 20), (90, 0, 110, 20))

    def test_what_is_too_thin_is_left_out(self) -> None:
        assert CropRule(min_px=8).chosen(found(*self.BOXES)) == [0, 2, 3]
        assert CropRule(min_px=4).chosen(found(*self.BOXES)) == [0, 1, 2, 3]

    def test_the_best_ones_only(self) -> None:
        """A detection that is not chosen takes no one's place."""
        assert CropRule(max_crops=2).chosen(found(*self.BOXES)) == [0, 2]

    def test_some_classes_only(self) -> None:
        some = found(*self.BOXES, ids=(0, 1, 1, 0))
        assert CropRule(classes=("bus",)).chosen(some) == [2]
        assert CropRule(classes=("car", "bus")).chosen(some) == [0, 2, 3]


@pytest.mark.parametrize("fields", [{"margin": -0.1}, {"max_crops": 0}, {"margin": float("nan")}, {"colour": 1}])
def test_wrong_rules_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CropRule.model_validate(fields)
