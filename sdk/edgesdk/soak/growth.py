"""Whether an agent takes more and more: memory by its slope, descriptors and threads by their number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from edgesdk.soak.line import Bounds, Line, outcome
from edgesdk.soak.series import Recording, SoakSample
from edgesdk.soak.slope import lasting_growth

_WARM_UP_SHARE = 0.25
_FEWEST_SAMPLES = 8
# Who asks for a soak so long asks for growth too; a shorter one may end before there is anything to judge.
_JUDGED_FROM_S = 60.0
# What a healthy agent may still take after its warm-up: much in the first minute, less the longer it is watched.
_MOST_FLOOR_BYTES, _LEAST_FLOOR_BYTES = 3e6, 1e6


def memory_floor(seconds: float) -> float:
    """Return how many bytes of growth within a time are none: 3 MB in a minute, 1 MB (falling by the root) from 9 on."""
    return min(_MOST_FLOOR_BYTES, max(_LEAST_FLOOR_BYTES, _MOST_FLOOR_BYTES * math.sqrt(60.0 / max(seconds, 1.0))))


def memory(recording: Recording) -> Line:
    """Check the slope of the memory, which must be within its noise, or within the floor for the length."""
    worst, bound = None, "within noise"
    for life in _warm_lives(recording):
        seconds = life[-1].at_s - life[0].at_s
        one = lasting_growth([s.at_s for s in life], [float(s.rss_bytes) for s in life])
        allowed = max(one.noise, memory_floor(seconds))
        if worst is None or one.over_series - allowed > worst[0]:
            worst = (one.over_series - allowed, one)
            bound = f"≤ {allowed / seconds * 3600 / 1e6:.1f} MB an hour in {seconds:.0f} s"
    if worst is None:
        return _unmeasured(recording, "memory growth", bound)
    beyond, one = worst
    figure = f"{one.per_hour / 1e6:+.1f} MB an hour ({one.over_series / 1e6:+.2f} MB), noise {one.noise / 1e6:.2f} MB"
    return Line("memory growth", outcome(beyond <= 0), figure, bound)


def descriptors(recording: Recording, bounds: Bounds) -> Line:
    """Check that no file or connection is left open."""
    return _constant(recording, "file descriptors", lambda sample: sample.fds, bounds.fds)


def threads(recording: Recording, bounds: Bounds) -> Line:
    """Check that no thread is left behind."""
    return _constant(recording, "threads", lambda sample: sample.threads, bounds.threads)


def _constant(recording: Recording, what: str, value: Callable[[SoakSample], int], allowed: int) -> Line:
    bound = f"≤ +{allowed}"
    more = []
    for life in _warm_lives(recording):
        # Against the most of the earlier half, as a fault closes what is opened again after it.
        before, after = life[: len(life) // 2], life[-max(2, len(life) // 4) :]
        more.append(statistics.median(map(value, after)) - max(map(value, before)))
    if not more:
        return _unmeasured(recording, what, bound)
    return Line(what, outcome(max(more) <= allowed), f"{max(more):+.0f}", bound)


def _unmeasured(recording: Recording, what: str, bound: str) -> Line:
    """Say that no life was long enough: a failure where the soak was."""
    lasted_s = recording.samples[-1].at_s if recording.samples else 0.0
    figure = f"no agent had results for {_FEWEST_SAMPLES / (1 - _WARM_UP_SHARE):.0f} s"
    return Line(what, "not measured" if lasted_s < _JUDGED_FROM_S else "fail", figure, bound)


def _warm_lives(recording: Recording) -> list[list[SoakSample]]:
    """Return the samples of each agent after its start and its warm-up."""
    running = [_running(life, recording.cameras) for life in recording.lives()]
    lives = [life[int(len(life) * _WARM_UP_SHARE) :] for life in running]
    return [life for life in lives if len(life) >= _FEWEST_SAMPLES]


def _running(life: list[SoakSample], cameras: Sequence[str]) -> list[SoakSample]:
    """Return a life from its first results on: while it imports, connects and opens, a healthy agent takes more by the second.

    From those of every camera, where every one has some; how long the start takes depends on what else the machine does.
    """
    for enough in (all, any):
        for number, sample in enumerate(life):
            if enough(sample.processed.get(name, 0) for name in cameras):
                return life[number:]
    return []
