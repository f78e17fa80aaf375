"""Results given to `supervision` itself: what it draws, follows and counts of them.

No extra but `edgesdk[supervision]` brings the package, so that these are skipped in the project's own environment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesdk_targets.results import Chained, Classification, Detections, Embedding

sv: Any = pytest.importorskip("supervision", reason="supervision is not installed: pip install 'edgesdk[supervision]'")

BOXES = np.array([[10, 20, 50, 60], [12, 21, 52, 61], [100, 100, 140, 150]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
CLASS_IDS = np.array([0, 0, 1])
FOUND = Detections(BOXES, SCORES, CLASS_IDS, ("dog", "cat"))
EMPTY = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ("dog", "cat"))


def test_detections_are_as_they_were() -> None:
    found = FOUND.to_supervision()
    assert isinstance(found, sv.Detections)
    np.testing.assert_array_equal(found.xyxy, BOXES)
    np.testing.assert_array_equal(found.confidence, SCORES)
    np.testing.assert_array_equal(found.class_id, CLASS_IDS)
    assert found.tracker_id is None
    assert list(found["class_name"]) == ["dog", "dog", "cat"]


def test_its_operations_take_them() -> None:
    found = FOUND.to_supervision()
    kept = found.with_nms(threshold=0.5)
    assert sorted(kept["class_name"]) == ["cat", "dog"]
    assert list(found[found.confidence > 0.75].class_id) == [0, 0]
    inside = sv.PolygonZone(np.array([[90, 90], [200, 90], [200, 200], [90, 200]])).trigger(found)
    assert inside.tolist() == [False, False, True]


def test_it_draws_them_where_they_are() -> None:
    scene = np.zeros((200, 200, 3), np.uint8)
    drawn = sv.LabelAnnotator().annotate(
        sv.BoxAnnotator(thickness=1).annotate(scene.copy(), FOUND.to_supervision()), FOUND.to_supervision()
    )
    assert drawn[20, 10].any()
    assert drawn[150, 140].any()
    assert not drawn[190, 10].any()


def test_what_is_followed_keeps_its_number() -> None:
    followed = Detections(BOXES, SCORES, CLASS_IDS, ("dog", "cat"), track_ids=np.array([7, 0, 9])).to_supervision()
    np.testing.assert_array_equal(followed.tracker_id, [7, 0, 9])
    trace = sv.TraceAnnotator()
    moved = Detections(BOXES + 30, SCORES, CLASS_IDS, ("dog", "cat"), track_ids=np.array([7, 0, 9])).to_supervision()
    scene = trace.annotate(np.zeros((200, 200, 3), np.uint8), followed)
    assert trace.annotate(scene, moved).any()


def test_nothing_found_is_nothing() -> None:
    nothing = EMPTY.to_supervision()
    assert len(nothing) == 0
    assert nothing.is_empty()
    assert list(sv.Detections.merge([nothing, FOUND.to_supervision()])["class_name"]) == ["dog", "dog", "cat"]
    scene = np.zeros((40, 40, 3), np.uint8)
    assert not sv.BoxAnnotator().annotate(scene.copy(), nothing).any()


def test_a_chains_detections() -> None:
    chain = Chained(FOUND, (Embedding(np.ones(3, np.float32)), None, None)).to_supervision()
    np.testing.assert_array_equal(chain.xyxy, BOXES)
    # What the second model said goes along, also into a part of them.
    np.testing.assert_array_equal(chain[chain.class_id == 0].data["then_vector"][0], np.ones(3))


def test_classes_with_the_best_first() -> None:
    classes = Classification(np.array([2, 0]), np.array([0.75, 0.25], np.float32), ("a", "b", "c")).to_supervision()
    assert isinstance(classes, sv.Classifications)
    ids, scores = classes.get_top_k(1)
    assert (ids.tolist(), scores.tolist()) == ([2], [0.75])
