"""What happened to the frames: how many, how fast, how old, and why some were dropped.

Every captured frame ends in exactly one place: captured == processed + sum(dropped) + in flight, and nothing is in
flight once the pipeline ended. Memory does not grow with time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from edgesdk_agent.cameras.camera import CameraCounts
from edgesdk_agent.latency_histogram import LatencyHistogram, Percentiles

Cause = Literal[
    "replaced_before_preprocess",
    "replaced_before_inference",
    "unreadable",
    "camera_lost",
    "failed",
    "stopped",
    "paused",
    "filtered",
    "filter_failed",
    "windowed",
    "governed",
    "corrupt",
    "black",
    "overexposed",
    "blurred",
    "duplicate",
]


@dataclass(frozen=True, slots=True)
class FrameStats:
    """What happened to the frames of one span of time.

    Attributes:
        captured, processed: frames of this span.
        dropped: cause → frames; causes that did not occur are absent.
        in_flight: captured and neither processed nor dropped yet, at the end of the span.
        callback_errors: results whose callback raised, or did not return in its time; of a whole pipeline only.
        results_dropped: results that whoever takes them never saw, as they were slower; of a whole pipeline only.
        seconds: the span's length; of the totals, from the start to the last result.
        fps: results a second of the span.
        age: of frames at their result; preprocess, infer: what the stages took.
        cpu_s: stage → processor time of the pipeline's own threads; of a whole pipeline only. The worker threads of
            a runtime or a decoder are not in it, they count for the process.
        cameras: the same for each camera of a pipeline.
        results_filtered: results that a filter kept back; of a whole pipeline only.
        source: what the camera itself counted since the start; of one camera only.
    """

    captured: int
    processed: int
    dropped: Mapping[str, int]
    in_flight: int
    callback_errors: int
    seconds: float
    fps: float
    age: Percentiles
    preprocess: Percentiles
    infer: Percentiles
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    cameras: Mapping[str, FrameStats] = field(default_factory=dict)
    results_dropped: int = 0
    results_filtered: int = 0
    source: CameraCounts | None = None

    def to_json(self) -> dict[str, object]:
        """Return the stable keys that `--json` and telemetry print."""
        told: dict[str, object] = {
            "frames": {
                "captured": self.captured,
                "processed": self.processed,
                "dropped": dict(sorted(self.dropped.items())),
                "in_flight": self.in_flight,
            },
            "callback_errors": self.callback_errors,
            "results_dropped": self.results_dropped,
            "results_filtered": self.results_filtered,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "age_ms": self.age.to_ms(),
            "preprocess_ms": self.preprocess.to_ms(),
            "infer_ms": self.infer.to_ms(),
        }
        if self.cpu_s:
            told["cpu_s"] = {stage: round(seconds, 6) for stage, seconds in self.cpu_s.items()}
        if self.source is not None:
            told["source"] = asdict(self.source)
        if self.cameras:
            told["cameras"] = {name: stats.to_json() for name, stats in self.cameras.items()}
        return told


@dataclass(slots=True)
class Tally:
    """The counts of one span, while it lasts."""

    captured: int = 0
    processed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    age: LatencyHistogram = field(default_factory=LatencyHistogram)
    preprocess: LatencyHistogram = field(default_factory=LatencyHistogram)
    infer: LatencyHistogram = field(default_factory=LatencyHistogram)

    def merge(self, other: Tally) -> None:
        self.captured += other.captured
        self.processed += other.processed
        for cause, count in other.dropped.items():
            self.dropped[cause] = self.dropped.get(cause, 0) + count
        self.age.merge(other.age)
        self.preprocess.merge(other.preprocess)
        self.infer.merge(other.infer)

    def since(self, before: Tally) -> Tally:
        """Return what was counted after `before`, an earlier copy of this."""
        dropped = {cause: count - before.dropped.get(cause, 0) for cause, count in self.dropped.items()}
        return Tally(
            captured=self.captured - before.captured,
            processed=self.processed - before.processed,
            dropped={cause: count for cause, count in dropped.items() if count},
            age=self.age.since(before.age),
            preprocess=self.preprocess.since(before.preprocess),
            infer=self.infer.since(before.infer),
        )

    @property
    def in_flight(self) -> int:
        """Frames that are neither processed nor dropped."""
        return self.captured - self.processed - sum(self.dropped.values())

    def stats(self, seconds: float, in_flight: int) -> FrameStats:
        return FrameStats(
            captured=self.captured,
            processed=self.processed,
            dropped=dict(self.dropped),
            in_flight=in_flight,
            callback_errors=0,
            seconds=seconds,
            fps=self.processed / seconds if seconds > 0 else 0.0,
            age=self.age.percentiles(),
            preprocess=self.preprocess.percentiles(),
            infer=self.infer.percentiles(),
        )


class Meter:
    """Count one camera's frames from several threads, since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()
        self._last_result: float | None = None

    def captured(self) -> None:
        """Count a frame that was captured."""
        with self._lock:
            self._tally.captured += 1

    def dropped(self, cause: Cause) -> None:
        """Count a captured frame that will have no result."""
        with self._lock:
            self._tally.dropped[cause] = self._tally.dropped.get(cause, 0) + 1

    def processed(self, at: float, age_s: float, preprocess_s: float, infer_s: float) -> None:
        """Count a result that was there at `at` seconds of the clock."""
        with self._lock:
            tally = self._tally
            tally.processed += 1
            tally.age.add(age_s)
            tally.preprocess.add(preprocess_s)
            tally.infer.add(infer_s)
            self._last_result = at

    def whole(self) -> tuple[Tally, float | None]:
        """Return a copy of the counts since the start, and when the last result was there."""
        whole = Tally()
        with self._lock:
            whole.merge(self._tally)
            return whole, self._last_result


class Meters:
    """The meters of all cameras of a pipeline, told apart and together.

    Args:
        names: of the cameras.
        clock: monotonic seconds.
    """

    def __init__(self, names: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._meters = {name: Meter() for name in names}
        self._started = clock()
        self._interval = self.span()

    def __getitem__(self, camera: str) -> Meter:
        return self._meters[camera]

    def start(self) -> None:
        """Begin to count time now."""
        self._started = self._clock()
        self._interval = self.span()

    def span(self) -> Span:
        """Return a reader of intervals that begin now; each reader has its own."""
        return Span(self._meters, self._clock)

    def interval(self) -> FrameStats:
        """Return what happened since the last call, and begin a new interval."""
        return self._interval.read()

    def totals(self) -> FrameStats:
        """Return what happened since the start."""
        together, apart, last = Tally(), {}, self._started
        for name, meter in self._meters.items():
            tally, at = meter.whole()
            together.merge(tally)
            at = self._started if at is None else at
            last = max(last, at)
            apart[name] = tally.stats(at - self._started, tally.in_flight)
        return replace(together.stats(last - self._started, together.in_flight), cameras=apart)


class Span:
    """Read the meters interval by interval, by differences: telemetry, health and metrics each have intervals of their own."""

    def __init__(self, meters: Mapping[str, Meter], clock: Callable[[], float]) -> None:
        self._meters = meters
        self._clock = clock
        self._from = clock()
        self._before = {name: meter.whole()[0] for name, meter in meters.items()}

    def read(self) -> FrameStats:
        """Return what happened since the last reading, and begin a new interval."""
        now = self._clock()
        seconds, self._from = now - self._from, now
        together, in_flight, apart = Tally(), 0, {}
        for name, meter in self._meters.items():
            whole, _ = meter.whole()
            tally, self._before[name] = whole.since(self._before[name]), whole
            together.merge(tally)
            in_flight += whole.in_flight
            apart[name] = tally.stats(seconds, whole.in_flight)
        return replace(together.stats(seconds, in_flight), cameras=apart)
