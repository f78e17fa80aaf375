"""What happened to the frames: how many, how fast, how old, and why some were dropped.

Every captured frame ends in exactly one place: captured == processed + sum(dropped) + in flight, and nothing is in
flight once the pipeline ended. Memory does not grow with time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesdk_agent.latency_histogram import LatencyHistogram, Percentiles

Cause = Literal[
    "replaced_before_preprocess",
    "replaced_before_inference",
    "unreadable",
    "camera_lost",
    "failed",
    "stopped",
]


@dataclass(frozen=True, slots=True)
class FrameStats:
    """What happened to the frames of one span of time.

    Attributes:
        captured, processed: frames of this span.
        dropped: cause → frames; causes that did not occur are absent.
        in_flight: captured and neither processed nor dropped yet, at the end of the span.
        callback_errors: results whose callback raised.
        seconds: the span's length; of the totals, from the start to the last result.
        fps: results a second of the span.
        age: of frames at their result; preprocess, infer: what the stages took.
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

    def to_json(self) -> dict[str, object]:
        """Return the stable keys that `--json` and telemetry print."""
        return {
            "frames": {
                "captured": self.captured,
                "processed": self.processed,
                "dropped": dict(sorted(self.dropped.items())),
                "in_flight": self.in_flight,
            },
            "callback_errors": self.callback_errors,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "age_ms": self.age.to_ms(),
            "preprocess_ms": self.preprocess.to_ms(),
            "infer_ms": self.infer.to_ms(),
        }


@dataclass(slots=True)
class _Tally:
    """The counts of one span, while it lasts."""

    captured: int = 0
    processed: int = 0
    callback_errors: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    age: LatencyHistogram = field(default_factory=LatencyHistogram)
    preprocess: LatencyHistogram = field(default_factory=LatencyHistogram)
    infer: LatencyHistogram = field(default_factory=LatencyHistogram)

    def merge(self, other: _Tally) -> None:
        self.captured += other.captured
        self.processed += other.processed
        self.callback_errors += other.callback_errors
        for cause, count in other.dropped.items():
            self.dropped[cause] = self.dropped.get(cause, 0) + count
        self.age.merge(other.age)
        self.preprocess.merge(other.preprocess)
        self.infer.merge(other.infer)

    def stats(self, seconds: float, in_flight: int) -> FrameStats:
        return FrameStats(
            captured=self.captured,
            processed=self.processed,
            dropped=dict(self.dropped),
            in_flight=in_flight,
            callback_errors=self.callback_errors,
            seconds=seconds,
            fps=self.processed / seconds if seconds > 0 else 0.0,
            age=self.age.percentiles(),
            preprocess=self.preprocess.percentiles(),
            infer=self.infer.percentiles(),
        )


class Meter:
    """Count frames from several threads, for the whole run and for the current interval.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._past = _Tally()
        self._now = _Tally()
        self._in_flight = 0
        self._running = False
        self._started = self._interval_from = self._last_result = clock()

    def start(self) -> None:
        """Begin to count time now, unless it is counted already: pipelines that share a meter all call this."""
        with self._lock:
            if not self._running:
                self._running = True
                self._started = self._interval_from = self._last_result = self._clock()

    def captured(self) -> None:
        """Count a frame that was captured."""
        with self._lock:
            self._now.captured += 1
            self._in_flight += 1

    def dropped(self, cause: Cause) -> None:
        """Count a captured frame that will have no result."""
        with self._lock:
            self._now.dropped[cause] = self._now.dropped.get(cause, 0) + 1
            self._in_flight -= 1

    def processed(self, at: float, age_s: float, preprocess_s: float, infer_s: float) -> None:
        """Count a result that was there at `at` seconds of the clock."""
        with self._lock:
            tally = self._now
            tally.processed += 1
            tally.age.add(age_s)
            tally.preprocess.add(preprocess_s)
            tally.infer.add(infer_s)
            self._in_flight -= 1
            self._last_result = at

    def callback_failed(self) -> bool:
        """Count a callback that raised, and say whether it was the first of the run."""
        with self._lock:
            self._now.callback_errors += 1
            return self._now.callback_errors + self._past.callback_errors == 1

    def interval(self) -> FrameStats:
        """Return what happened since the last call, and begin a new interval."""
        with self._lock:
            now = self._clock()
            tally, self._now = self._now, _Tally()
            seconds, self._interval_from = now - self._interval_from, now
            in_flight = self._in_flight
            self._past.merge(tally)
        return tally.stats(seconds, in_flight)

    def totals(self) -> FrameStats:
        """Return what happened since the start."""
        whole = _Tally()
        with self._lock:
            whole.merge(self._past)
            whole.merge(self._now)
            seconds = self._last_result - self._started
            in_flight = self._in_flight
        return whole.stats(seconds, in_flight)
