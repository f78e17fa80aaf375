"""Sequences whose truth is known: objects that walk, cross and hide, and a detector that errs in stated ways.

Truth is what is there and not hidden. The detector misses, wavers, sees what is not there, is unsure of what is partly
hidden, and confuses classes; frames are dropped singly and in bursts, and the ones that remain keep their times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgesdk_targets.tensor import Array

WIDTH, HEIGHT = 1280.0, 720.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens, and how well it is seen.

    Attributes:
        objects: how many are there at a time.
        speed: parts of its own height that an object goes in a second.
        turning: how fast velocities wander; 0 walks straight on.
        pillars: walls that hide whatever is behind them.
        miss: part of the objects that are not detected though they could be.
        waver: standard deviation of a box's edges, parts of its size.
        ghosts: false detections a frame.
        confused: part of the detections that name another class.
        dropped: part of the frames that are lost; half of them in bursts.
        jitter: of the times of frames, parts of the interval.
    """

    name: str
    objects: int = 12
    speed: float = 0.8
    turning: float = 0.6
    pillars: int = 0
    miss: float = 0.02
    waver: float = 0.02
    ghosts: float = 0.05
    confused: float = 0.0
    dropped: float = 0.0
    jitter: float = 0.0
    fps: float = 25.0
    seconds: float = 16.0


SCENES = (
    Scene("crossings", objects=16, speed=1.2),
    Scene("occlusions", objects=12, pillars=3),
    Scene("misses", miss=0.25, waver=0.03),
    Scene("false positives", ghosts=2.0),
    Scene("dropped frames", dropped=0.4, jitter=0.2),
    Scene("low rate, fast objects", fps=6.0, speed=2.0, turning=0.3, objects=8),
    Scene("confused classes", confused=0.1, objects=14),
    Scene("all of it", objects=16, pillars=2, miss=0.1, waver=0.03, ghosts=0.7, confused=0.04, dropped=0.2, jitter=0.2),
)


@dataclass(frozen=True, slots=True, eq=False)
class SceneFrame:
    """One frame that was not dropped: its time, the truth and what the detector says of it."""

    index: int
    at: float
    true_ids: Array
    true_boxes: Array
    boxes: Array
    scores: Array
    class_ids: Array


def sequence(scene: Scene, seed: int) -> list[SceneFrame]:
    """Make the frames of a scene; the same seed gives the same frames."""
    rng = np.random.default_rng([seed, len(scene.name)])
    crowd = _Crowd(scene, rng)
    pillars = _pillars(scene, rng)
    frames: list[SceneFrame] = []
    burst = 0
    for index in range(int(scene.seconds * scene.fps)):
        crowd.step(1 / scene.fps)
        burst = burst - 1 if burst > 0 else (int(rng.integers(3, 9)) if rng.random() < scene.dropped / 12 else 0)
        if index and (burst or rng.random() < scene.dropped / 2):
            continue
        at = (index + float(rng.uniform(0, scene.jitter))) / scene.fps
        frames.append(_seen(scene, crowd, pillars, rng, index, at))
    return frames


def shifted(frames: list[SceneFrame], by_s: float) -> list[SceneFrame]:
    """Return the same frames on another clock."""
    return [replace(frame, at=frame.at + by_s) for frame in frames]


class _Crowd:
    """Where everybody is; who leaves the picture is replaced by somebody new at its edge."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene, self._rng = scene, rng
        count = scene.objects
        self.size = np.empty((count, 2))
        self.at, self.velocity = np.empty((count, 2)), np.empty((count, 2))
        self.ids, self.classes, self.depth = np.arange(count) + 1, np.zeros(count, int), rng.random(count)
        for which in range(count):
            self._arrive(which)
            self.at[which] = rng.uniform((0, 100), (WIDTH, HEIGHT - 20))

    def step(self, seconds: float) -> None:
        pull = self._rng.normal(0, 1, self.velocity.shape) * np.sqrt(seconds) * self._scene.turning
        self.velocity += pull * self.size[:, 1:] * self._scene.speed
        self.velocity[:, 1] *= 1 - 0.5 * seconds
        self.at += self.velocity * seconds
        outside = (self.at[:, 0] < -30) | (self.at[:, 0] > WIDTH + 30) | (self.at[:, 1] < 40)
        outside |= self.at[:, 1] > HEIGHT + 60
        for which in np.flatnonzero(outside):
            self.ids[which] = self.ids.max() + 1
            self._arrive(int(which))

    def boxes(self) -> Array:
        half = self.size / 2
        return np.concatenate([self.at - half, self.at + half], axis=1)

    def _arrive(self, which: int) -> None:
        rng = self._rng
        height = rng.uniform(60, 180)
        self.size[which] = (height * rng.uniform(0.35, 0.6), height)
        from_left = rng.random() < 0.5
        self.at[which] = (-20.0 if from_left else WIDTH + 20, rng.uniform(120, HEIGHT - 40))
        ahead = self._scene.speed * height * rng.uniform(0.5, 1.5)
        self.velocity[which] = (ahead if from_left else -ahead, rng.normal(0, 0.1) * height)
        self.classes[which] = int(rng.integers(3))


def _pillars(scene: Scene, rng: np.random.Generator) -> Array:
    left = rng.uniform(150, WIDTH - 250, scene.pillars)
    wide = rng.uniform(40, 90, scene.pillars)
    return np.stack([left, np.zeros_like(left), left + wide, np.full_like(left, HEIGHT)], axis=1)


def _seen(scene: Scene, crowd: _Crowd, pillars: Array, rng: np.random.Generator, index: int, at: float) -> SceneFrame:
    boxes = crowd.boxes()
    visible = 1.0 - _hidden(boxes, crowd.depth, pillars)
    inside = (crowd.at[:, 0] > 0) & (crowd.at[:, 0] < WIDTH) & (crowd.at[:, 1] < HEIGHT)
    there = inside & (visible > 0.3)
    detected = there & (rng.random(len(boxes)) > scene.miss) & (rng.random(len(boxes)) < visible * 1.6 - 0.35)
    seen = boxes[detected]
    size = np.tile(crowd.size[detected], 2)
    seen = seen + rng.normal(0, scene.waver, seen.shape) * size
    scores = np.clip(rng.normal(0.88, 0.06, len(seen)) - 0.75 * (1 - visible[detected]), 0.05, 0.99)
    classes = crowd.classes[detected].copy()
    confused = rng.random(len(classes)) < scene.confused
    classes[confused] = (classes[confused] + 1) % 3
    ghosts = int(rng.poisson(scene.ghosts))
    if ghosts:
        centre = rng.uniform((0, 0), (WIDTH, HEIGHT), (ghosts, 2))
        half = rng.uniform((15, 30), (50, 90), (ghosts, 2))
        seen = np.concatenate([seen, np.concatenate([centre - half, centre + half], axis=1)])
        scores = np.concatenate([scores, rng.uniform(0.1, 0.75, ghosts)])
        classes = np.concatenate([classes, rng.integers(0, 3, ghosts)])
    order = np.argsort(-scores, kind="stable")
    return SceneFrame(
        index,
        at,
        crowd.ids[there].copy(),
        boxes[there],
        seen[order].astype(np.float32),
        scores[order].astype(np.float32),
        classes[order].astype(np.int64),
    )


def _hidden(boxes: Array, depth: Array, pillars: Array) -> Array:
    """Return which part of each object is behind the one thing that hides most of it, (N,) 0..1."""
    covers = np.concatenate([boxes, pillars])
    in_front = np.concatenate([depth, np.full(len(pillars), 2.0)])
    low = np.maximum(boxes[:, None, :2], covers[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], covers[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    shared[in_front[None, :] <= depth[:, None]] = 0.0
    return shared.max(axis=1)
