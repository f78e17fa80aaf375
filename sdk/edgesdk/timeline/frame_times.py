"""From spans to where the time of a frame goes: what the stages worked, and what the frame waited in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgesdk_agent.timeline.timeline import STAGES, Span, TimedStage

# What a frame waits for before each stage. Capturing is left out: a frame's age begins when it is there.
_WAITS: dict[TimedStage, str] = {
    "on_frame": "waits for on_frame",
    "preprocess": "waits for preprocessing",
    "infer": "waits for the model",
    "deliver": "waits for its turn",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the frames' way.

    Attributes:
        name: of a stage, or of what the frame waits for before it.
        p50_ms, p95_ms: over the frames.
        share: of the whole way of all frames, 0..1.
    """

    name: str
    p50_ms: float
    p95_ms: float
    share: float

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "p50_ms": round(self.p50_ms, 3),
            "p95_ms": round(self.p95_ms, 3),
            "share": round(self.share, 4),
        }


@dataclass(frozen=True, slots=True)
class Busy:
    """How much of the time a thread worked in a stage.

    Attributes:
        thread, stage: which.
        spans: how often.
        share: of the time from the first span to the last, 0..1. Of capturing, it includes waiting for the camera.
    """

    thread: str
    stage: TimedStage
    spans: int
    share: float

    def to_json(self) -> dict[str, object]:
        return {"thread": self.thread, "stage": self.stage, "spans": self.spans, "share": round(self.share, 4)}


def parts(spans: Iterable[Span]) -> list[Part]:
    """Return where the time of the frames that came through went, in the order of their way; empty where none did."""
    frames: dict[tuple[str, int], dict[TimedStage, Span]] = defaultdict(dict)
    for span in spans:
        frames[span.camera, span.seq][span.stage] = span
    stages = [stage for stage in STAGES if stage != "on_frame" or any(stage in frame for frame in frames.values())]
    whole = [frame for frame in frames.values() if len(frame) == len(stages)]
    if not whole:
        return []
    times = np.array([_way([frame[stage] for stage in stages]) for frame in whole]) * 1e3
    total = float(times.sum()) or 1.0
    names = [name for stage in stages[1:] for name in (_WAITS[stage], stage)]
    return [
        Part(name, float(np.percentile(row, 50)), float(np.percentile(row, 95)), float(row.sum()) / total)
        for name, row in zip(names, times.T, strict=True)
    ]


def busy(spans: Sequence[Span]) -> list[Busy]:
    """Return how busy each thread was, by stage, in the order of the stages."""
    if not spans:
        return []
    seconds = max(span.end_s for span in spans) - min(span.start_s for span in spans)
    worked: dict[tuple[int, str], list[float]] = defaultdict(list)
    for span in spans:
        worked[STAGES.index(span.stage), span.thread].append(span.end_s - span.start_s)
    return [
        Busy(thread, STAGES[stage], len(times), sum(times) / seconds if seconds else 0.0)
        for (stage, thread), times in sorted(worked.items())
    ]


def _way(stages: Sequence[Span]) -> list[float]:
    """Return the seconds that a frame waits for each stage after the first, and is in it."""
    return [
        seconds
        for before, stage in pairwise(stages)
        for seconds in (stage.start_s - before.end_s, stage.end_s - stage.start_s)
    ]
