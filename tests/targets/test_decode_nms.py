"""Suppression agrees with the definition, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.decode.nms import class_wise_nms
from edgesdk_targets.tensor import Array


def by_definition(boxes: Array, scores: Array, class_ids: Array, iou_threshold: float, limit: int) -> list[int]:
    def iou(a: Array, b: Array) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(0.0, float(width)) * max(0.0, float(height))
        union = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
        return shared / union if union else 0.0

    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if all(class_ids[i] != class_ids[j] or iou(boxes[i], boxes[j]) <= iou_threshold for j in kept):
            kept.append(i)
    return kept[:limit]


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    # Whole pixels and few distinct scores: ties, equal boxes and boxes without area come up often.
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 60))
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 8, (count, 2))], 1).astype(np.float32)
    return boxes, (rng.integers(0, 9, count) / 8).astype(np.float32), rng.integers(0, 3, count)


@settings(max_examples=150, deadline=None)
@given(candidates(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 70))
def test_equals_the_definition(found: tuple[Array, Array, Array], iou_threshold: float, limit: int) -> None:
    kept = class_wise_nms(*found, iou_threshold, limit)
    assert kept.tolist() == by_definition(*found, iou_threshold, limit)


def test_blocks_do_not_show() -> None:
    """More candidates than one block: a weak box in a late block is suppressed by a strong one in the first."""
    rng = np.random.default_rng(3)
    corner = rng.integers(0, 60, (700, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 30, (700, 2))], 1).astype(np.float32)
    scores = rng.permutation(700).astype(np.float32)
    class_ids = rng.integers(0, 2, 700)
    kept = class_wise_nms(boxes, scores, class_ids, 0.25, 700)
    assert kept.tolist() == by_definition(boxes, scores, class_ids, 0.25, 700)
    assert 10 < len(kept) < 400


@pytest.mark.parametrize(("iou_threshold", "kept"), [(1 / 3, [0, 1]), (0.33, [0])])
def test_equal_to_the_threshold_stays(iou_threshold: float, kept: list[int]) -> None:
    boxes = np.asarray([[0, 0, 2, 2], [1, 0, 3, 2]], np.float32)
    found = class_wise_nms(boxes, np.asarray([0.9, 0.8], np.float32), np.zeros(2, int), iou_threshold, 10)
    assert found.tolist() == kept
