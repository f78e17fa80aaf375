"""The newest picture of each camera, small, for those who look just now; nobody looks most of the time.

The lane scales a picture into memory that is there already, at most so often a second, and only while somebody looks. It
never waits: where the picture is just being compressed, the next one serves. Drawing and JPEG are done by the thread of
the viewer who asks first, and shared by all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgesdk_agent.drawing import draw_result
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.preview.outline import Outline, draw_outlines
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.results import Chained, Detections, Result
from edgesdk_targets.tensor import Array

_QUALITY = 75
_NEW = 0.1


@dataclass(slots=True)
class _View:
    """One camera's picture."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    viewers: int = 0
    number: int = 0
    due: float = 0.0
    picture: Array = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    result: FrameResult | None = None
    scale: float = 1.0
    jpeg: bytes = b""
    encoded: int = 0
    results: int = 0
    last_at: float = 0.0
    period_s: float = 0.0


class LivePictures:
    """What viewers see: a taker of the pictures' door.

    Args:
        cameras: their names.
        fps: pictures a second, at most; width: to which larger pictures are scaled, pixels.
        outlines: by camera, what is drawn beside the results: zones and lines.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        *,
        fps: float = 5.0,
        width: int = 960,
        outlines: Mapping[str, Sequence[Outline]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._views = {name: _View() for name in cameras}
        self._spacing_s = 1.0 / fps
        self._width = width
        self._outlines = outlines or {}
        self._clock = clock
        self._closed = False
        self.encodings = 0

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of the cameras."""
        return tuple(self._views)

    # --- a taker of pictures, on the lane

    def wants(self, camera: str) -> bool:
        """Say whether somebody looks at this camera, and a picture is due; also counts its results."""
        view, now = self._views[camera], self._clock()
        period = now - view.last_at
        view.period_s = period if view.results < 2 else view.period_s + _NEW * (period - view.period_s)
        view.last_at, view.results = now, view.results + 1
        return view.viewers > 0 and now >= view.due

    def __call__(self, result: FrameResult) -> None:
        """Scale a picture down, unless one is just being compressed."""
        view, image = self._views[result.camera], result.image
        assert image is not None  # noqa: S101  (the door asks before)
        if not view.lock.acquire(blocking=False):
            return
        try:
            height, width = image.shape[:2]
            scale = min(1.0, self._width / width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            if view.picture.shape[:2] != size[::-1]:
                view.picture = np.zeros((size[1], size[0], 3), np.uint8)
            cv2.resize(image, size, dst=view.picture, interpolation=cv2.INTER_LINEAR)
            view.result, view.scale = replace(result, image=None), size[0] / width
            view.number += 1
            view.due = self._clock() + self._spacing_s
            view.lock.notify_all()
        finally:
            view.lock.release()

    # --- viewers, each on a thread of its own

    def watch(self, camera: str, *, watching: bool) -> None:
        """Count a viewer in or out."""
        with self._views[camera].lock:
            self._views[camera].viewers += 1 if watching else -1

    def next(self, camera: str, seen: int, timeout_s: float = 5.0) -> tuple[bytes, int] | None:
        """Wait for a picture newer than number `seen`, as a JPEG; None where none came within the time."""
        view = self._views[camera]
        with view.lock:
            if not view.lock.wait_for(lambda: self._closed or view.number > seen, timeout_s) or self._closed:
                return None
            if view.encoded != view.number:
                self._encode(camera, view)
            return view.jpeg, view.number

    def state(self) -> dict[str, dict[str, float | int | None]]:
        """Return for each camera its rate, the age of its newest result at its end, and how long ago that was."""
        now = self._clock()
        told: dict[str, dict[str, float | int | None]] = {}
        for name, view in self._views.items():
            silent = now - view.last_at if view.results else None
            going = view.period_s and silent is not None and silent < 5 * view.period_s + 1
            told[name] = {
                "fps": round(1 / view.period_s, 1) if going else 0.0,
                "age_ms": None if view.result is None else round(view.result.age_s * 1e3, 1),
                "silent_s": None if silent is None else round(silent, 1),
                "results": view.results,
                "viewers": view.viewers,
            }
        return told

    def close(self) -> None:
        """Let all viewers go."""
        self._closed = True
        for view in self._views.values():
            with view.lock:
                view.lock.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the end came."""
        return self._closed

    def _encode(self, camera: str, view: _View) -> None:
        assert view.result is not None  # noqa: S101  (a picture came with its result)
        draw_outlines(view.picture, self._outlines.get(camera, ()))
        draw_result(view.picture, scaled(view.result.result, view.scale))
        done, jpeg = cv2.imencode(".jpg", view.picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        view.jpeg, view.encoded = (jpeg.tobytes() if done else view.jpeg), view.number
        self.encodings += 1


def scaled(result: Result, scale: float) -> Result:
    """Return a result whose boxes fit a picture that was scaled."""
    if isinstance(result, Detections):
        return replace(result, boxes=result.boxes * np.float32(scale))
    if isinstance(result, Chained):
        return replace(result, detections=replace(result.detections, boxes=result.detections.boxes * np.float32(scale)))
    return result
