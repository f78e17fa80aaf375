"""The scenes of all cameras of an agent: each result is given its objects' numbers, and what happens is told.

It stands where results are delivered in order, on the pipeline's own thread. A fault in here is told once, and the results go
on as they came: nobody loses one because of a rule.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.events.change_filter import ChangeFilter
from edgesdk_agent.events.event import Evidence, SceneEvent
from edgesdk_agent.events.scene import Scene
from edgesdk_agent.events.settings import SceneSettings
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.results import Chained, Detections, Result
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

# Of a source that does not say how large its pictures are.
_UNKNOWN_SIZE = (1, 1)


@dataclass(slots=True)
class _Watched:
    """One camera: its scene, for pictures of a size, and when its newest frame came by this device's clock."""

    scene: Scene
    size: tuple[int, int]
    changes: ChangeFilter
    came_at: float = 0.0


@dataclass(slots=True)
class _Told:
    """Counts of scenes that were replaced, as their pictures' size changed."""

    told: int = 0
    held_back: int = 0
    unchanged: int = 0
    failed: int = 0


class Scenes:
    """Follow objects and watch places at every camera.

    Args:
        settings: for all cameras.
        cameras: those of the pipeline.
        tell: takes each event; called on the pipeline's thread.
        evidence: keeps pictures of events, and is given each before it is told; None keeps nothing.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: SceneSettings,
        cameras: Mapping[str, Camera],
        tell: Callable[[SceneEvent], None],
        *,
        evidence: Evidence | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.evidence = evidence
        self._cameras = cameras
        self._tell = tell
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._before = _Told()
        self._failing = False

    def follow(self, frame: FrameResult) -> FrameResult:
        """Take in a result, tell what happens, and return it with the numbers of its objects."""
        try:
            return self._follow(frame)
        except Exception:  # a border: results are worth more than what is made of them
            self._before.failed += 1
            if not self._failing:
                self._failing = True
                log.exception("Tracking fails at frame %d of %s; results go on without it", frame.seq, frame.camera)
            return frame

    def is_news(self, frame: FrameResult) -> bool:
        """Tell whether a result is to be reported."""
        watched = self._watched.get(frame.camera)
        if watched is None:
            return True
        return watched.changes.is_news(frame.result, self._time(frame))

    def reported_when_new(self, report: Callable[[FrameResult], object]) -> Callable[[FrameResult], object]:
        """Return what reports results as the configuration asks: all, or those that say something new."""

        def report_news(frame: FrameResult) -> None:
            if self.settings.report == "every_frame" or self.is_news(frame):
                report(frame)

        return report_news

    def take_settings(self, settings: SceneSettings) -> None:
        """Go by other settings, at each camera from its next frame on; any thread may ask."""
        self.settings = settings

    def let_time_pass(self) -> None:
        """Notice cameras that give no frames: their objects are gone after a while. Called now and then."""
        now = self._clock()
        for watched in list(self._watched.values()):
            if watched.came_at and now - watched.came_at > self.settings.tracker.lost_s:
                self._tell_all(watched.scene.let_pass(now - watched.came_at))

    def close(self) -> None:
        """End all events; called after the last result."""
        for watched in self._watched.values():
            self._tell_all(watched.scene.close())

    def counts(self) -> dict[str, int]:
        """Return events told and held back, results that were not reported as nothing changed, and faults."""
        watched = list(self._watched.values())
        counted = {
            "told": self._before.told + sum(one.scene.told for one in watched),
            "held_back": self._before.held_back + sum(one.scene.held_back for one in watched),
            "unchanged": self._before.unchanged + sum(one.changes.unchanged for one in watched),
        }
        return {**counted, "failed": self._before.failed} if self._before.failed else counted

    def _follow(self, frame: FrameResult) -> FrameResult:
        watched = self._watched_for(frame)
        watched.came_at = self._clock() if self._cameras[frame.camera].info.live else 0.0
        at = self._time(frame)
        events = watched.scene.update(frame.result, at, frame=frame.seq, wall=frame.wall_at)
        self._tell_all(events, frame.captured_at)
        result = numbered(frame.result, watched.scene.tracks.detection_ids)
        return frame if result is frame.result else replace(frame, result=result)

    def _watched_for(self, frame: FrameResult) -> _Watched:
        """Return the camera's scene; a new one where its pictures' size changed, as the places are others then."""
        info = self._cameras[frame.camera].info
        size = (info.width, info.height) if frame.image is None else (frame.image.shape[1], frame.image.shape[0])
        watched = self._watched.get(frame.camera)
        if watched is not None and watched.size == size:
            if watched.scene.settings is not self.settings:
                settings = self.settings
                self._tell_all(watched.scene.take_settings(settings))
                watched.changes.take_numbers(settings.moved, settings.silence_s)
            return watched
        if watched is not None:
            log.info("%s: pictures are %d x %d now; objects are followed anew", frame.camera, *size)
            self._tell_all(watched.scene.close())
            self._before.told += watched.scene.told
            self._before.held_back += watched.scene.held_back
            self._before.unchanged += watched.changes.unchanged
        scene = Scene(size if all(size) else _UNKNOWN_SIZE, self.settings, camera=frame.camera)
        watched = _Watched(scene, size, ChangeFilter(self.settings.moved, self.settings.silence_s))
        self._watched[frame.camera] = watched
        return watched

    def _time(self, frame: FrameResult) -> float:
        """Return the time of a frame: of a film its own, whatever speed it is read at."""
        info = self._cameras[frame.camera].info
        return frame.seq / info.fps if info.fps and not info.live else frame.captured_at

    def _tell_all(self, events: list[SceneEvent], captured_at: float | None = None) -> None:
        """Tell events; `captured_at` of the frame that shows them, monotonic seconds, or now where there is none."""
        if not events:
            return
        at = self._clock() if captured_at is None else captured_at
        rules = {} if self.evidence is None else {rule.name: rule for rule in self.settings.rules}
        for event in events:
            rule = rules.get(event.rule)
            wants_clip = rule is not None and (rule.snapshot if rule.clip is None else rule.clip)
            wants_picture = rule is not None and rule.snapshot
            self._tell(self._with_evidence(event, at, snapshot=wants_picture, clip=wants_clip))

    def _with_evidence(self, event: SceneEvent, at: float, *, snapshot: bool, clip: bool) -> SceneEvent:
        if self.evidence is None:
            return event
        try:
            return self.evidence(event, at, snapshot=snapshot, clip=clip)
        except Exception as error:  # noqa: BLE001  (an event is worth more than its picture)
            log.warning("No picture of the event %s: %s", event.id, error)
            return event


def numbered(result: Result, track_ids: Array) -> Result:
    """Return a result with the numbers of its objects, (N,) int64; one that holds no objects as it is. What was weak
    has done its part.
    """
    if isinstance(result, Chained):
        return replace(result, detections=replace(result.detections, track_ids=track_ids, weak=None))
    return replace(result, track_ids=track_ids, weak=None) if isinstance(result, Detections) else result
