"""Both trackers on the same sequences: ours here, the peer in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_targets.results import Detections
from edgesdk_testkit.mot_metric import Labelled, MotScore, mot_score
from edgesdk_testkit.moving_objects import Scene, SceneFrame, sequence

OURS = "edgesdk"
# The peer with its own choice of thresholds, and with ours; it is told the times of frames too.
PEER_OPTIONS: Mapping[str, Mapping[str, float]] = {
    "trackers, its thresholds": {},
    "trackers, our thresholds": {"track_activation_threshold": 0.5, "high_conf_det_threshold": 0.5},
}
_ROOT = Path(__file__).resolve().parents[2]

Ids = list[list[int]]


@dataclass(frozen=True, slots=True)
class Followed:
    """What one tracker made of one scene, over all seeds: its score, and the mean time of a frame."""

    tracker: str
    scene: str
    score: MotScore
    us_per_frame: float


def peer_python() -> Path | None:
    """Return the Python of the peer's environment, or None where it was not made."""
    folder = Path(os.environ.get("EDGESDK_PEERS", _ROOT / ".cache" / "peers")) / "trackers"
    return folder / "bin" / "python" if (folder / ".ready").exists() else None


def follow_all(
    scenes: Sequence[Scene], seeds: Iterable[int], python: Path | None
) -> tuple[list[Followed], dict[str, Any]]:
    """Return what each tracker made of each scene, and what motmetrics says of all of it by tracker."""
    made = [(scene, sequence(scene, seed)) for seed in seeds for scene in scenes]
    answers = {OURS: [our_answer(frames) for _, frames in made]}
    if python is not None:
        for name, options in PEER_OPTIONS.items():
            asked = [_question(scene, frames, options) for scene, frames in made]
            answers[name] = [(a["ids"], a["us_per_frame"]) for a in _ask(python, "follow", asked)]
    followed = []
    for name, given in answers.items():
        for scene in scenes:
            mine = [(f, a) for (s, f), a in zip(made, given, strict=True) if s is scene]
            scores = [scored(frames, ids) for frames, (ids, _) in mine]
            total = sum(scores[1:], scores[0])
            followed.append(Followed(name, scene.name, total, float(np.mean([us for _, (_, us) in mine]))))
    judged = {} if python is None else {name: _judged(python, made, given) for name, given in answers.items()}
    return followed, judged


def our_answer(frames: Sequence[SceneFrame]) -> tuple[Ids, float]:
    """Return the number of each detection of each frame, and the mean time of a frame in microseconds."""
    tracker, ids, spent = Tracker(), [], 0.0
    for frame in frames:
        detections = Detections(frame.boxes, frame.scores, frame.class_ids)
        began = time.perf_counter()
        tracks = tracker.update(detections, frame.at)
        spent += time.perf_counter() - began
        ids.append(tracks.detection_ids.tolist())
    return ids, spent / max(1, len(frames)) * 1e6


def scored(frames: Sequence[SceneFrame], ids: Ids) -> MotScore:
    """Judge an answer: the boxes are the detector's own for all trackers, so that only the numbers differ."""
    pairs = []
    for frame, numbers in zip(frames, ids, strict=True):
        given = np.array(numbers, np.int64)
        pairs.append((Labelled(frame.true_ids, frame.true_boxes), Labelled(given[given > 0], frame.boxes[given > 0])))
    return mot_score(pairs)


def _question(scene: Scene, frames: Sequence[SceneFrame], options: Mapping[str, float]) -> dict[str, Any]:
    return {
        "fps": scene.fps,
        "peer_options": dict(options),
        "frames": [
            {
                "at": frame.at,
                "boxes": frame.boxes.tolist(),
                "scores": frame.scores.tolist(),
                "class_ids": frame.class_ids.tolist(),
            }
            for frame in frames
        ],
    }


def _judged(python: Path, made: Sequence[tuple[Scene, list[SceneFrame]]], given: Sequence[tuple[Ids, float]]) -> Any:
    answered = []
    for (_, frames), (ids, _) in zip(made, given, strict=True):
        rows = []
        for frame, numbers in zip(frames, ids, strict=True):
            kept = [place for place, number in enumerate(numbers) if number > 0]
            rows.append(
                {
                    "true_ids": frame.true_ids.tolist(),
                    "true_boxes": frame.true_boxes.tolist(),
                    "ids": [numbers[place] for place in kept],
                    "boxes": frame.boxes[kept].tolist(),
                }
            )
        answered.append({"frames": rows})
    return _ask(python, "judge", answered)


def _ask(python: Path, verb: str, document: object) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "question.json"), Path(folder, "answer.json")
        question.write_text(json.dumps(document), "utf-8")
        program = Path(__file__).with_name("peer_answers.py")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([python, program, verb, question, answer], check=True, env=environment)
        return json.loads(answer.read_text("utf-8"))
