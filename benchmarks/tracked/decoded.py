"""What a tracker is worth behind a model's decoder, which drops what is below the bundle's threshold: with and without the
weak detections that continue objects.

The detections of each frame are written as a YOLO head writes them, and decoded as a model's outputs are. Judged is only what
is reported, which is the same for both: the strong detections, by the numbers that they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit.mot_metric import MotScore
from edgesdk_testkit.moving_objects import HEIGHT, WIDTH, Scene, SceneFrame, sequence
from tracked.rounds import Followed, scored

WITHOUT, WITH = "strong detections only", "weak ones continue objects"
_NAMES = ("a", "b", "c")
# Places of the head's table; a scene has fewer detections.
_CELLS = 256
# That of many cards, and one that a wary owner sets: the higher, the more is weak.
THRESHOLDS = (0.5, 0.7)


def follow_decoded(scenes: Sequence[Scene], seeds: Iterable[int], threshold: float) -> list[Followed]:
    """Return what the tracker makes of each scene behind a decoder of this threshold, without and with the weak."""
    made = [(scene, sequence(scene, seed)) for seed in seeds for scene in scenes]
    followed = []
    for name, weak_from in ((WITHOUT, None), (WITH, 0.1)):
        for scene in scenes:
            scores = [_score(frames, threshold, weak_from) for one, frames in made if one is scene]
            followed.append(Followed(name, scene.name, sum(scores[1:], scores[0]), 0.0))
    return followed


def decoder(threshold: float, weak_from: float | None) -> Decoder:
    """Return a detector's decoder, as a bundle of this threshold has it."""
    # The scenes' detections are suppressed already.
    post = Postprocess(head="yolov8", score_threshold=threshold, iou_threshold=1.0)
    spec = TensorSpec(name="output0", dtype="float32", shape=(1, 4 + len(_NAMES), _CELLS))
    made = Decoder("detect", post, _NAMES, (spec,), (int(HEIGHT), int(WIDTH)))
    if weak_from is not None:
        made.keep_weak(weak_from)
    return made


def as_outputs(frame: SceneFrame) -> dict[str, Array]:
    """Return a frame's detections as the outputs of a model."""
    table = np.zeros((1, 4 + len(_NAMES), _CELLS), np.float32)
    count, boxes = len(frame.scores), frame.boxes
    table[0, :2, :count] = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    table[0, 2:4, :count] = (boxes[:, 2:] - boxes[:, :2]).T
    table[0, 4 + frame.class_ids, np.arange(count)] = frame.scores
    return {"output0": table}


def _score(frames: Sequence[SceneFrame], threshold: float, weak_from: float | None) -> MotScore:
    decode, tracker = decoder(threshold, weak_from), Tracker(high_score=threshold)
    ids, reported = [], []
    for frame in frames:
        found = decode(as_outputs(frame), None)
        if not isinstance(found, Detections):
            raise TypeError(found.kind)
        ids.append(tracker.update(found, frame.at).detection_ids.tolist())
        reported.append(_reported(frame, found))
    return scored(reported, ids)


def _reported(frame: SceneFrame, found: Detections) -> SceneFrame:
    return SceneFrame(
        frame.index, frame.at, frame.true_ids, frame.true_boxes, found.boxes, found.scores, found.class_ids
    )
