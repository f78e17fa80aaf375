"""What is hidden before a picture leaves: masks, objects of some classes, and the one door that pictures go through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.privacy.concealment import Concealment, MaskStage
from edgesdk_agent.privacy.hidden_objects import HiddenObjects
from edgesdk_agent.privacy.mask import Mask
from edgesdk_agent.privacy.picture_exit import PictureExit
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Chained, Classification, Detections, Result
from edgesdk_targets.tensor import Array

NAMES = ("face", "car")
LEFT_HALF = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]


def pattern(height: int = 60, width: int = 80) -> Array:
    return np.random.default_rng(3).integers(40, 255, (height, width, 3), dtype=np.uint8)


def detections(*boxes: tuple[float, float, float, float], classes: tuple[int, ...] = (0,)) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, 0.9, np.float32),
        np.array(classes[:count], np.int64),
        NAMES,
    )


def seen(result: Result, at: float = 0.0, image: Array | None = None) -> FrameResult:
    return FrameResult("door", 0, at, at, 0.1, 0.01, 0.02, result, image)


def test_a_mask_covers_its_polygon_and_nothing_else_at_any_size_of_picture() -> None:
    mask = Mask([LEFT_HALF])
    for height, width in ((60, 80), (33, 47), (60, 80)):
        before = pattern(height, width)
        image = before.copy()
        assert MaskStage(mask)(Frame("door", 0, 0, 0, image)) is None
        assert not image[:, : width // 2].any()
        assert (image[:, width // 2 + 2 :] == before[:, width // 2 + 2 :]).all()


@pytest.mark.parametrize("polygon", [[(0.0, 0.0), (1.0, 1.0)], [(0.0, 0.0), (2.0, 0.0), (1.0, 1.0)]])
def test_a_mask_that_is_none_is_refused(polygon: list[tuple[float, float]]) -> None:
    with pytest.raises(InputError):
        Mask([polygon])


def hidden(result: Result, **options: float) -> Array:
    """Return which pixels of a pattern changed."""
    objects, image = HiddenObjects(["face"], **options), pattern()
    objects.note(seen(result))
    objects.hide(image)
    changed: Array = (image != pattern()).any(axis=2)
    return changed


def test_objects_of_the_named_classes_are_hidden_with_a_margin_and_others_are_not() -> None:
    changed = hidden(detections((10, 10, 30, 30), (50, 10, 70, 30), classes=(0, 1)), margin=0.1)
    assert changed[8:32, 8:32].mean() > 0.95
    changed[8:32, 8:32] = False
    assert not changed.any()


def test_of_a_hidden_box_only_six_by_six_averages_are_left() -> None:
    objects, image = HiddenObjects(["face"], margin=0.0), pattern()
    objects.note(seen(detections((0, 0, 60, 60))))
    objects.hide(image)
    assert len(np.unique(image[:60, :60].reshape(-1, 3), axis=0)) <= 36


def test_what_a_second_model_calls_by_the_name_is_hidden_too() -> None:
    found = detections((10, 10, 30, 30), (50, 10, 70, 30), classes=(1, 1))
    answers = tuple(Classification(np.array([n]), np.array([0.9], np.float32), ("face", "none")) for n in (1, 0))
    changed = hidden(Chained(found, answers), margin=0.0)
    assert not changed[:, :45].any()
    assert changed[10:30, 50:70].mean() > 0.95


def test_a_place_stays_hidden_for_a_moment_after_the_detector_missed_it() -> None:
    objects = HiddenObjects(["face"], hold_s=0.5)
    objects.note(seen(detections((10, 10, 30, 30)), at=1.0))
    for at, count in ((1.2, 1), (1.5, 1), (1.6, 0)):
        objects.note(seen(detections(), at=at))
        assert objects.hide(pattern()) == count


def test_a_box_of_no_numbers_hides_the_whole_picture_and_one_outside_nothing() -> None:
    assert hidden(detections((np.nan, 0, 1, np.inf))).mean() > 0.95
    assert not hidden(detections((100, 100, 200, 200), (30, 30, 10, 10), classes=(0, 0))).any()


class Taker:
    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        self.pictures: list[Array] = []

    def wants(self, camera: str) -> bool:
        return self.wanted

    def __call__(self, result: FrameResult) -> None:
        assert result.image is not None
        self.pictures.append(result.image.copy())


@pytest.mark.parametrize("sees_pictures", [False, True])
@pytest.mark.parametrize("sees_all", [False, True])
def test_nobody_gets_a_picture_with_what_is_hidden_but_hooks_that_may(sees_pictures: bool, sees_all: bool) -> None:
    hooks: list[Array | None] = []
    taker = Taker()
    door = PictureExit(
        InlineDelivery(lambda result: hooks.append(None if result.image is None else result.image.copy())),
        [taker],
        Concealment({"door": Mask([LEFT_HALF])}, {}),
        inner_sees_pictures=sees_pictures,
        inner_sees_all=sees_all,
    )
    door(seen(detections(), image=pattern()))
    assert not taker.pictures[0][:, :40].any()
    if not sees_pictures:
        assert hooks == [None]
    else:
        assert hooks[0] is not None
        assert hooks[0][:, :40].any() == sees_all


def test_without_a_mask_the_pattern_is_there_and_a_picture_that_nobody_wants_is_left_alone() -> None:
    taker, image = Taker(), pattern()
    PictureExit(InlineDelivery(lambda _: None), [taker], Concealment({}, {}), inner_sees_pictures=False)(
        seen(detections(), image=image)
    )
    assert (taker.pictures[0] == pattern()).all()
    concealment = Concealment({"door": Mask([LEFT_HALF])}, {})
    door = PictureExit(InlineDelivery(lambda _: None), [Taker(wanted=False)], concealment, inner_sees_pictures=False)
    door(seen(detections(), image=image))
    assert (image == pattern()).all()
    assert concealment.counts() == {"pictures": 0, "hidden": 0}


def test_a_picture_that_must_not_be_written_to_is_hidden_in_a_copy() -> None:
    image = pattern()
    image.flags.writeable = False
    result = Concealment({"door": Mask([LEFT_HALF])}, {}).conceal(seen(detections(), image=image))
    assert result.image is not None
    assert not result.image[:, :40].any()
    assert (image == pattern()).all()
    assert replace(result, image=None).image is None


def test_a_taker_that_fails_holds_nobody_up() -> None:
    class Broken(Taker):
        def __call__(self, result: FrameResult) -> None:
            raise ValueError("no")

    results: list[FrameResult] = []
    taker = Taker()
    door = PictureExit(
        InlineDelivery(results.append), [Broken(), taker], Concealment({}, {}), inner_sees_pictures=False
    )
    for _ in range(3):
        door(seen(detections(), image=pattern()))
    assert len(results) == len(taker.pictures) == 3
