"""The tracker on sequences whose truth is known, and in the cases it is made for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgesdk_agent.tracking.motion import Motion
from edgesdk_agent.tracking.overlap import overlaps
from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_agent.tracking.tracks import Tracks
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections
from edgesdk_testkit.mot_metric import Labelled, MotScore, mot_score
from edgesdk_testkit.moving_objects import SCENES, Scene, SceneFrame, sequence, shifted

# The least IDF1 and MOTA of each scene; about 0.02 under what is reached.
LEAST = {
    "crossings": (0.90, 0.90),
    "occlusions": (0.80, 0.80),
    "misses": (0.70, 0.60),
    "false positives": (0.85, 0.80),
    "dropped frames": (0.85, 0.85),
    "low rate, fast objects": (0.75, 0.75),
    "confused classes": (0.85, 0.85),
    "all of it": (0.60, 0.60),
}


def detections(*objects: Sequence[float], class_ids: Sequence[int] | None = None) -> Detections:
    """Detections of x1 y1 x2 y2 score each."""
    rows = np.array(objects, np.float32).reshape(-1, 5)
    classes = np.zeros(len(rows), np.int64) if class_ids is None else np.array(class_ids, np.int64)
    return Detections(rows[:, :4], rows[:, 4], classes, ("cat", "dog"))


def followed(frames: Sequence[SceneFrame], tracker: Tracker) -> MotScore:
    answers = []
    for frame in frames:
        tracks = tracker.update(Detections(frame.boxes, frame.scores, frame.class_ids), frame.at)
        is_object = tracks.detection_ids > 0
        answer = Labelled(tracks.detection_ids[is_object], frame.boxes[is_object])
        answers.append((Labelled(frame.true_ids, frame.true_boxes), answer))
    return mot_score(answers)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_objects_keep_their_numbers(scene: Scene) -> None:
    score = followed(sequence(scene, seed=1), Tracker())
    idf1, mota = LEAST[scene.name]
    assert score.idf1 >= idf1
    assert score.mota >= mota


def test_the_metric_sees_a_tracker_that_forgets() -> None:
    """Negative control: one that looks for nobody who was lost for a moment is clearly worse."""
    frames = sequence(SCENES[2], seed=1)
    assert followed(frames, Tracker()).idf1 - followed(frames, Tracker(lost_s=0.01)).idf1 > 0.1


def test_the_metric_knows_perfect_and_worthless_answers() -> None:
    truth = [Labelled(np.array([1, 2]), np.array([[0, 0, 10, 10], [20, 0, 30, 10]], float))] * 4
    swapped = [Labelled(one.ids[::-1] if at >= 2 else one.ids, one.boxes) for at, one in enumerate(truth)]
    empty = [Labelled(np.empty(0, np.int64), np.empty((0, 4)))] * 4
    perfect, worthless = mot_score(zip(truth, truth, strict=True)), mot_score(zip(truth, empty, strict=True))
    exchanged = mot_score(zip(truth, swapped, strict=True))
    assert (perfect.idf1, perfect.mota) == (1.0, 1.0)
    assert (worthless.idf1, worthless.mota) == (0.0, 0.0)
    assert (exchanged.switches, exchanged.idf1, exchanged.mota) == (2, 0.5, 0.75)


def test_only_times_matter_not_how_many_frames_there_are() -> None:
    """The same movement, with two frames of three dropped: numbers stay, and so does what is remembered, in seconds."""
    for every in (1, 3):
        tracker, seen = Tracker(lost_s=0.5), []
        for index in range(0, 60, every):
            hidden = 20 <= index < 30
            found = [] if hidden else [[4 * index, 50, 4 * index + 40, 130, 0.9]]
            seen.append(tracker.update(detections(*found), at=index / 30))
        assert {number for tracks in seen for number in tracks.ids.tolist()} == {1}
        assert not any(tracks.ended for tracks in seen)


def test_a_lost_object_ends_after_its_seconds() -> None:
    tracker = Tracker(lost_s=0.5)
    tracker.update(detections([0, 0, 40, 40, 0.9]), at=10.0)
    ended = [tracker.update(detections(), at=10.0 + passed).ended for passed in (0.2, 0.5, 0.51, 0.6)]
    assert ended == [(), (), (1,), ()]


def test_the_clock_may_begin_anywhere_and_be_set_back() -> None:
    frames = sequence(SCENES[0], seed=3)[:80]
    assert followed(frames, Tracker()) == followed(shifted(frames, 1.6e9), Tracker())
    tracker = Tracker()
    tracker.update(detections([0, 0, 40, 40, 0.9]), at=100.0)
    tracks = tracker.update(detections([0, 0, 40, 40, 0.9]), at=3.0)
    assert (tracks.ended, tracks.ids.tolist()) == ((1,), [2])


def test_what_is_seen_once_is_no_object_and_takes_no_number() -> None:
    tracker = Tracker()
    tracker.update(detections(), at=0.0)
    flash = tracker.update(detections([0, 0, 40, 40, 0.9]), at=0.1)
    assert (len(flash), flash.detection_ids.tolist()) == (0, [0])
    tracker.update(detections(), at=0.2)
    tracker.update(detections([100, 100, 140, 140, 0.9]), at=0.3)
    tracks = tracker.update(detections([101, 100, 141, 140, 0.9]), at=0.4)
    assert (tracks.ids.tolist(), tracks.born_at.tolist()) == ([1], [0.3])


def test_weak_detections_continue_an_object_and_begin_none() -> None:
    tracker = Tracker()
    for index in range(10):
        score = 0.9 if index < 3 else 0.2
        tracks = tracker.update(detections([index, 0, index + 40, 80, score], [200, 0, 240, 80, 0.3]), at=index / 10)
    assert tracks.ids.tolist() == [1]
    assert tracks.seen.all()
    assert tracks.detection_ids.tolist() == [1, 0]


def test_an_object_is_what_most_detections_say_and_one_object_only() -> None:
    tracker, labels = Tracker(), []
    for index in range(12):
        wrong = index % 4 == 2
        tracks = tracker.update(detections([index, 0, index + 40, 80, 0.9], class_ids=[int(wrong)]), at=index / 10)
        labels += [tracks.label(0)]
        assert tracks.ids.tolist() == [1]
    assert set(labels) == {"cat"}
    # Both classes of one thing at once, as detectors give it that look for each class alone.
    both = detections([12, 0, 52, 80, 0.9], [12, 0, 52, 80, 0.7], class_ids=[0, 1])
    for at in (1.2, 1.3, 1.4):
        assert tracker.update(both, at=at).ids.tolist() == [1]


def test_classes_can_be_kept_apart() -> None:
    tracker = Tracker(across_classes=0)
    tracker.update(detections([0, 0, 40, 40, 0.9], class_ids=[0]), at=0.0)
    for at in (0.1, 0.2, 0.3):
        tracks = tracker.update(detections([0, 0, 40, 40, 0.9], class_ids=[1]), at=at)
    assert [tracks.label(row) for row in range(len(tracks))] == ["cat", "dog"]
    assert tracks.seen.tolist() == [False, True]


def test_wrong_settings_are_refused_with_their_name() -> None:
    with pytest.raises(InputError, match="lost_s"):
        Tracker(lost_s=-1)
    with pytest.raises(InputError, match="lost"):
        Tracker(lots_s=1)
    with pytest.raises(InputError, match="low_score"):
        Tracker(low_score=0.9)


class TestMotion:
    def test_it_is_the_usual_filter_of_eight_states(self) -> None:
        """The four filters of two states give what one with 8x8 matrices gives."""
        rng = np.random.default_rng(2)
        box = np.array([[100.0, 100, 140, 180]])
        motion = Motion.of(box)
        scale = 60.0
        state = np.concatenate([[120, 140, 40, 80], np.zeros(4)])
        covariance = np.diag([(0.05 * scale) ** 2] * 4 + [(3 * scale) ** 2] * 4)
        see = np.concatenate([np.eye(4), np.zeros((4, 4))], axis=1)
        for passed in (0.04, 0.2, 0.04, 1.0, 0.1):
            scale = max(1.0, (state[2] + state[3]) / 2)
            step = np.eye(8)
            step[:4, 4:] = passed * np.eye(4)
            noise = np.kron([[passed**3 / 3, passed**2 / 2], [passed**2 / 2, passed]], np.eye(4)) * scale**2
            state, covariance = step @ state, step @ covariance @ step.T + noise
            motion.predict(passed)
            box = box + 200 * passed + rng.normal(0, 2, 4)
            measured = np.array([*(box[0, :2] + box[0, 2:]) / 2, *(box[0, 2:] - box[0, :2])])
            scale = (state[2] + state[3]) / 2
            gain = covariance @ see.T @ np.linalg.inv(see @ covariance @ see.T + np.eye(4) * (0.05 * scale) ** 2)
            state = state + gain @ (measured - see @ state)
            covariance = covariance - gain @ see @ covariance
            motion.correct(np.array([0]), box)
            np.testing.assert_allclose(np.concatenate([motion.value[0], motion.rate[0]]), state, rtol=1e-9)

    def test_overlaps_are_right_for_boxes_without_an_area_too(self) -> None:
        boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [3, 3, 3, 3]], float)
        np.testing.assert_allclose(overlaps(boxes, boxes)[0], [1, 1 / 3, 0])
        assert overlaps(boxes, boxes)[2, 2] == 0
        assert isinstance(Tracker().update(detections(), 0.0), Tracks)
