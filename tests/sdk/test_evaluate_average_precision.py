"""AP50 is COCO's, and its resampling is the same figure of the drawn pictures."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgesdk.evaluate.average_precision import (
    Matched,
    average_precisions,
    left_out,
    match,
    match_each,
    mean_average_precision,
    whole,
)
from edgesdk.evaluate.intervals import resampled_counts
from edgesdk.evaluate.measure_boxes import OVERLAPS
from edgesdk.layouts.truth import Truth
from edgesdk_targets.tensor import Array

Picture = tuple[Array, Array, Array, Truth]


def pictures(seed: int, count: int, *, classes: int = 4, crowds: bool = True) -> list[Picture]:
    """Draw detections near true boxes and elsewhere; few distinct scores, so that ties are common."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        n = int(rng.integers(0, 7))
        corner = rng.uniform(0, 300, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 120, (n, 2))], 1)
        truth = Truth(boxes, rng.integers(0, classes, n), rng.random(n) < 0.15 if crowds else None)
        seen = np.repeat(np.flatnonzero(rng.random(n) < 0.8), 1 + (rng.random(1) < 0.3))
        near = boxes[seen] + rng.normal(0, 8, (len(seen), 4))
        far = rng.uniform(0, 300, (5, 2))
        found = np.concatenate([near, np.concatenate([far, far + 60], 1)]).astype(np.float32)
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        labels = np.concatenate([truth.class_ids[seen], rng.integers(0, classes, 5)])
        scores = np.concatenate([rng.integers(4, 21, len(near)), rng.integers(1, 14, 5)]) / 20
        made.append((found, scores.astype(np.float32), labels, truth))
    return made


def ours(made: list[Picture]) -> float:
    return mean_average_precision([match(*picture) for picture in made])[0].value


def reference(made: list[Picture]) -> float:
    return by_coco(made)["AP_50"]


def by_coco(made: list[Picture]) -> dict[str, float]:
    """Return all of faster_coco_eval's figures."""
    from faster_coco_eval import COCO, COCOeval_faster

    def xywh(box: Array) -> list[float]:
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for i, (boxes, scores, class_ids, truth) in enumerate(made):
        crowd = truth.crowd if truth.crowd is not None else np.zeros(len(truth.class_ids), bool)
        for box, c, is_crowd in zip(truth.boxes, truth.class_ids, crowd, strict=True):
            sides = xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": int(c) + 1,
                    "bbox": sides,
                    "area": sides[2] * sides[3],
                    "iscrowd": int(is_crowd),
                }
            )
        for box, score, c in zip(boxes.astype(np.float64), scores, class_ids, strict=True):
            detections.append({"image_id": i + 1, "category_id": int(c) + 1, "bbox": xywh(box), "score": float(score)})
    classes = {a["category_id"] for a in annotations} | {d["category_id"] for d in detections}
    dataset = {
        "images": [{"id": i + 1, "width": 640, "height": 640} for i in range(len(made))],
        "annotations": annotations,
        "categories": [{"id": c, "name": str(c)} for c in classes],
    }
    with redirect_stdout(io.StringIO()):
        truth_set = COCO(dataset)
        evaluation = COCOeval_faster(truth_set, truth_set.loadRes(detections), "bbox")
        evaluation.run()
    return {name: float(value) for name, value in evaluation.stats_as_dict.items()}


@pytest.mark.parametrize("seed", range(8))
def test_equals_cocos_own(seed: int) -> None:
    made = pictures(seed, 25, classes=2 + seed % 3)
    value = ours(made)
    assert 0.2 < value < 0.95
    assert value == pytest.approx(reference(made), abs=1e-9)


KINDS = ("random", "constant scores", "one class", "a class never found", "exact boxes", "empty pictures")


def adversarial(kind: str, seed: int) -> list[Picture]:
    made = pictures(seed, 12, classes=1 if kind == "one class" else 3)
    if kind == "constant scores":
        return [(b, np.full_like(s, 0.5), c, t) for b, s, c, t in made]
    if kind == "a class never found":
        return [(b[c != 0], s[c != 0], c[c != 0], t) for b, s, c, t in made]
    if kind == "exact boxes":
        return [
            (t.boxes.astype(np.float32), np.linspace(0.9, 0.1, len(t.boxes), dtype=np.float32), t.class_ids, t)
            for *_, t in made
        ]
    if kind == "empty pictures":
        none = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
        return [*made, (*none, made[0][3]), (*none, Truth(np.zeros((0, 4)), np.zeros(0, int)))]
    return made


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_every_overlap_equals_cocos_own(kind: str, seed: int) -> None:
    made = adversarial(kind, seed)
    assume(any((t.crowd is None or not t.crowd.all()) and len(t.class_ids) for *_, t in made))
    each = [match_each(*picture, OVERLAPS) for picture in made]
    means = [average_precisions([p[i] for p in each], whole(len(made)))[0][0] for i in range(len(OVERLAPS))]
    theirs = by_coco(made)
    assert float(np.mean(means)) == pytest.approx(theirs["AP_all"], abs=1e-6)
    assert means[0] == pytest.approx(theirs["AP_50"], abs=1e-6)
    assert means[5] == pytest.approx(theirs["AP_75"], abs=1e-6)


def test_the_comparison_can_fail() -> None:
    """Negative control: one box moved is seen by both."""
    made = pictures(0, 25)
    before = ours(made)
    boxes, *rest = made[0]
    made[0] = (boxes + 500, *rest)  # type: ignore[assignment]
    assert ours(made) != pytest.approx(before, abs=1e-6)
    assert ours(made) == pytest.approx(reference(made), abs=1e-9)


def test_resampling_equals_evaluating_the_drawn_pictures() -> None:
    """Weights stand for copies: a resample is what the same pictures, laid out again, give."""
    rng = np.random.default_rng(0)
    # No ties: copies of a picture would stand between each other's detections.
    made = [(boxes, s + rng.uniform(0, 0.01, len(s)), c, truth) for boxes, s, c, truth in pictures(5, 12)]
    matched = [match(*picture) for picture in made]
    draws = np.concatenate([resampled_counts(12, 40), left_out(np.arange(12))])
    means, _ = average_precisions(matched, draws)
    for mean, counts in zip(means, draws, strict=True):
        copies: list[Matched] = [matched[i] for i in range(12) for _ in range(counts[i])]
        assert mean == pytest.approx(average_precisions(copies, whole(len(copies)))[0][0], abs=1e-9)


def test_by_hand() -> None:
    """Two true boxes; the detections in order of score: hit, miss, hit. Precision 1 to recall 0.5, then 2/3."""
    truth = Truth(np.asarray([[0, 0, 10, 10], [20, 20, 30, 30]], float), np.zeros(2, int))
    boxes = np.asarray([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30]], np.float32)
    matched = match(boxes, np.asarray([0.9, 0.8, 0.7], np.float32), np.zeros(3, int), truth)
    metric, by_class = mean_average_precision([matched])
    assert metric.value == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert by_class == {0: metric.value}


def test_a_second_box_on_one_object_is_a_miss() -> None:
    truth = Truth(np.asarray([[0, 0, 10, 10]], float), np.zeros(1, int))
    boxes = np.asarray([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    assert match(boxes, np.asarray([0.5, 0.9], np.float32), np.zeros(2, int), truth).hits.tolist() == [True, False]


@pytest.mark.parametrize(("right", "hit"), [(20.0, True), (20.1, False)])
def test_half_an_overlap_is_enough(right: float, hit: bool) -> None:
    truth = Truth(np.asarray([[0, 0, right, 10]], float), np.zeros(1, int))
    found = match(np.asarray([[0, 0, 10, 10]], np.float32), np.ones(1, np.float32), np.zeros(1, int), truth)
    assert found.hits.tolist() == [hit]


def test_the_mean_is_over_the_classes_present() -> None:
    """A class that is only detected, wrongly, has no recall and is no class of the mean."""
    truth = Truth(np.asarray([[0, 0, 10, 10], [40, 40, 50, 50]], float), np.asarray([0, 7]))
    boxes = np.asarray([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    matched = match(boxes, np.asarray([0.9, 0.8], np.float32), np.asarray([0, 3]), truth)
    metric, by_class = mean_average_precision([matched])
    assert by_class == {0: pytest.approx(1.0), 7: 0.0}
    assert metric.value == pytest.approx(0.5)


def test_nothing_detected() -> None:
    truth = Truth(np.asarray([[0, 0, 10, 10]], float), np.zeros(1, int))
    nothing = match(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int), truth)
    metric, _ = mean_average_precision([nothing, nothing])
    assert (metric.value, metric.low) == (0.0, 0.0)
    # Two pictures in which nothing was found do not prove that nothing ever will be.
    assert 0.5 < metric.high < 0.8
