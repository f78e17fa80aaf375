"""Disturbed pictures: seeded, graded, harmless to the labels; and what the curves say of a model."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.disturbances import DISTURBANCES, Disturbance, Disturbed, find_disturbance
from edgesdk.evaluate.evaluate import evaluate
from edgesdk.evaluate.robustness import measure_robustness
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array
from edgesdk_testkit.coloured_models import COLOURS, colour_predictor, write_colours


def scene() -> Array:
    """Return a picture (48, 64, 3) uint8 with edges and shades."""
    ramp = np.linspace(30, 160, 64, dtype=np.uint8)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    return np.asarray(cv2.rectangle(ramp, (20, 12), (44, 36), (200, 90, 40), -1))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_higher_grade_changes_more(name: str) -> None:
    image, one = scene(), DISTURBANCES[name]
    before = image.copy()
    changed = [np.abs(one(image, grade).image.astype(int) - image).mean() for grade in one.grades]
    assert len(one.grades) >= 5
    assert changed == sorted(changed)
    assert changed[0] < changed[-1] / 2
    np.testing.assert_array_equal(image, before)
    again, other = one(image, one.grades[2]).image, one(image[:, ::-1], one.grades[2]).image
    np.testing.assert_array_equal(again, one(image.copy(), one.grades[2]).image)
    assert not np.array_equal(again, other)
    assert (again.shape, again.dtype) == (image.shape, np.uint8)


@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 7, 3)], ids=["one pixel", "a line"])
def test_the_smallest_pictures(name: str, shape: tuple[int, int, int]) -> None:
    one = DISTURBANCES[name]
    for grade in one.grades:
        assert one(np.full(shape, 90, np.uint8), grade).image.shape == shape


def test_a_disturbance_that_is_none() -> None:
    with pytest.raises(InputError, match="no disturbance 'rain'") as caught:
        find_disturbance("rain")
    assert "occlusion" in caught.value.hint


def test_a_classifiers_curve(tmp_path: Path) -> None:
    write_colours(tmp_path, 60)
    dataset = open_dataset(tmp_path, task="classify", labels=COLOURS)
    predict, seen = colour_predictor(), list[tuple[int, int]]()
    chosen = [DISTURBANCES["darker"], DISTURBANCES["jpeg"]]
    found = measure_robustness(predict, dataset, chosen, progress=lambda *at: seen.append(at))
    assert seen[-1] == (60 * 11, 60 * 11)
    assert found.figure == "top1"
    assert found.original == evaluate(predict, dataset).metrics["top1"]
    darker = [figure.value for figure in found.curves[0].figures]
    assert darker[0] > darker[-1] + 0.3
    for figure in (*found.curves[0].figures, *found.curves[1].figures):
        assert figure.low <= figure.value <= figure.high
    document = json.loads(json.dumps(found.to_json()))
    assert [curve["disturbance"] for curve in document["curves"]] == ["darker", "jpeg"]
    assert set(document["curves"][0]["points"][0]) == {"grade", "value", "low", "high", "n"}


def test_pictures_as_they_are_change_nothing(tmp_path: Path) -> None:
    """Control: a disturbance that does nothing has the original's figure at each grade."""
    write_colours(tmp_path, 30)
    dataset = open_dataset(tmp_path, task="classify", labels=COLOURS)
    nothing = Disturbance("nothing", "", (1.0, 2.0), lambda image, _grade, _rng: Disturbed(image))
    found = measure_robustness(colour_predictor(), dataset, [nothing])
    assert found.curves[0].figures == (found.original, found.original)


def brightest(image: Array) -> Detections:
    """Find the white rectangle of a picture."""
    rows, columns = np.nonzero((image > 200).all(axis=2))
    if not len(rows):
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return Detections(np.asarray([box], np.float32), np.ones(1, np.float32), np.zeros(1, int))


def boxes_dataset(folder: Path, count: int) -> Dataset:
    """Write pictures with one white rectangle each, many at an edge."""
    rng, samples = np.random.default_rng(2), []
    for i in range(count):
        image = np.full((80, 120, 3), 40 + i, np.uint8)
        left, top = int(rng.integers(0, 90)), int(rng.integers(0, 60))
        image[top : top + 20, left : left + 30] = 255
        cv2.imwrite(str(folder / f"{i}.png"), image)
        truth = Truth(np.asarray([[left, top, left + 30, top + 20]], float), np.zeros(1, int))
        samples.append(BoxSample(folder / f"{i}.png", truth, fractions=False))
    return Dataset("detect", ("box",), tuple(samples))


def test_a_shift_moves_the_boxes_with_the_picture(tmp_path: Path) -> None:
    """A detector that finds what is there keeps its AP: boxes are moved back, and cut where the picture ends."""
    dataset = boxes_dataset(tmp_path, 24)
    found = measure_robustness(brightest, dataset, [DISTURBANCES["shift"]])
    assert found.original.value == pytest.approx(1.0)
    assert [figure.value for figure in found.curves[0].figures] == pytest.approx([1.0] * 5)


def test_labels_that_stay_where_they_were_would_be_wrong(tmp_path: Path) -> None:
    """Negative control: the same shift, of which the labels are not told."""
    dataset = boxes_dataset(tmp_path, 24)
    shift = DISTURBANCES["shift"]
    secret = Disturbance("shift", "", shift.grades, lambda *args: Disturbed(shift.apply(*args).image))
    found = measure_robustness(brightest, dataset, [secret])
    assert found.curves[0].figures[-1].value < 0.5


def test_what_is_hidden_is_missed(tmp_path: Path) -> None:
    found = measure_robustness(brightest, boxes_dataset(tmp_path, 24), [DISTURBANCES["occlusion"]])
    assert found.curves[0].figures[-1].value < 0.95
