"""What tracking and rules cost a frame, in the steady state: the same objects go on moving, and nothing happens."""

from __future__ import annotations

import time

import numpy as np

from edgesdk_agent.events.scene import Scene
from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_targets.results import Detections

_FRAMES = 600
_WARM_UP = 100
_SIZE = (1920, 1080)
_CORNERS = [(0.1, 0.1), (0.6, 0.2), (0.9, 0.7), (0.4, 0.9)]


def frame_costs(objects: int) -> dict[str, float]:
    """Return the median microseconds of a frame: of tracking alone, and with places and rules."""
    scene = Scene(
        _SIZE,
        zones=[{"name": f"zone{n}", "polygon": _CORNERS} for n in range(2)],
        lines=[{"name": f"line{n}", "points": [(0.3 + n / 10, 0), (0.5, 1)]} for n in range(2)],
        rules=[
            {"name": "crossings", "kind": "crossing", "line": "line0"},
            {"name": "full", "kind": "occupancy", "zone": "zone0", "at_least": 5},
            {"name": "loiter", "kind": "dwell", "zone": "zone0", "seconds": 5},
            {"name": "queue", "kind": "queue", "zone": "zone1"},
            {"name": "objects", "kind": "object"},
        ],
    )
    frames = _walk(objects)
    tracker = Tracker()
    tracks = None
    tracking, all_of_it = [], []
    for index, detections in enumerate(frames):
        began = time.perf_counter()
        tracks = tracker.update(detections, index / 30)
        between = time.perf_counter()
        scene.update(detections, index / 30)
        tracking.append(between - began)
        all_of_it.append(time.perf_counter() - between)
    if tracks is None or len(tracks) != objects:
        raise SystemExit("Not every object was followed, so the cost is not that of all.")
    return {
        "tracking": float(np.median(tracking[_WARM_UP:])) * 1e6,
        "tracking, two zones, two lines, five rules": float(np.median(all_of_it[_WARM_UP:])) * 1e6,
    }


def _walk(objects: int) -> list[Detections]:
    """Return the frames of objects that walk about on places of their own, with boxes that waver."""
    rng = np.random.default_rng(1)
    columns = int(np.ceil(np.sqrt(objects)))
    places = np.stack(np.divmod(np.arange(objects), columns), axis=1)[:, ::-1] * np.array(_SIZE) / columns
    size = np.array(_SIZE) / columns * np.array([0.3, 0.5])
    frames = []
    for index in range(_FRAMES):
        angle = index / 40 + np.arange(objects)
        centre = places + size * np.stack([1.5 + np.cos(angle), 1 + 0.3 * np.sin(angle)], axis=1)
        corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        boxes = corners + rng.normal(0, 0.01, (objects, 4)) * size.max()
        scores = rng.uniform(0.6, 0.95, objects).astype(np.float32)
        frames.append(Detections(boxes.astype(np.float32), scores, np.zeros(objects, np.int64)))
    return frames
