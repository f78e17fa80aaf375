"""Run in the peer's environment: follow the same detections with `trackers`' ByteTrack, and judge both with motmetrics.

python peer_answers.py follow SEQUENCES ANSWERS      JSON documents; see benchmarks/tracked/rounds.py
python peer_answers.py judge ANSWERS SCORES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def follow(sequences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each sequence the number of each detection, 0 where it is no object, and how long it took."""
    import supervision as sv
    from trackers import ByteTrackTracker

    answers = []
    for sequence in sequences:
        # The settings of ours where they mean the same; the rest is the library's own choice.
        tracker = ByteTrackTracker(frame_rate=sequence["fps"], **sequence["peer_options"])
        ids, spent = [], 0.0
        for frame in sequence["frames"]:
            given = len(frame["scores"])
            detections = sv.Detections(
                xyxy=np.array(frame["boxes"], np.float32).reshape(-1, 4),
                confidence=np.array(frame["scores"], np.float32),
                class_id=np.array(frame["class_ids"], int),
                # The answer comes in another order than the question.
                data={"row": np.arange(given)},
            )
            began = time.perf_counter()
            followed = tracker.update(detections, timestamp=frame["at"])
            spent += time.perf_counter() - began
            numbers = [0] * given
            if followed.tracker_id is not None and len(followed):
                for row, number in zip(followed.data["row"].tolist(), followed.tracker_id.tolist(), strict=True):
                    # It counts from 0, and says -1 of what is no object yet.
                    numbers[row] = int(number) + 1
            ids.append(numbers)
        answers.append({"ids": ids, "us_per_frame": spent / max(1, len(ids)) * 1e6})
    return answers


def judge(answered: list[dict[str, Any]]) -> dict[str, float]:
    """Return IDF1 and MOTA over all sequences, by motmetrics."""
    import motmetrics as mm

    accumulators = []
    for sequence in answered:
        accumulator = mm.MOTAccumulator(auto_id=True)
        for frame in sequence["frames"]:
            accumulator.update(frame["true_ids"], frame["ids"], _distances(frame["true_boxes"], frame["boxes"]))
        accumulators.append(accumulator)
    summary = mm.metrics.create().compute_many(accumulators, metrics=["idf1", "mota"], generate_overall=True)
    overall = summary.loc["OVERALL"]
    return {"idf1": float(overall["idf1"]), "mota": float(overall["mota"])}


def _distances(truth: list[list[float]], answer: list[list[float]]) -> Any:
    """Return 1 - IoU, NaN where it is below 0.5; the library's own function does not run with NumPy 2."""
    one, other = (np.array(boxes, float).reshape(-1, 4) for boxes in (truth, answer))
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    overlap = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    return np.where(overlap >= 0.5, 1.0 - overlap, np.nan)


if __name__ == "__main__":
    verb, read, write = sys.argv[1:]
    document = json.loads(Path(read).read_text("utf-8"))
    Path(write).write_text(json.dumps({"follow": follow, "judge": judge}[verb](document)), "utf-8")
