"""What one turn gave: messages as they arrived, the processes' cost meanwhile, and what others did to the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """The results of one camera of one program, in the order of their arrival.

    Attributes:
        at: when each arrived, seconds of the monotonic clock.
        frame: its number at its program.
        stamp: what the camera had drawn into the picture, same clock; not a number where there was none.
        objects: how many it names.
        agent_age_ms: what the agent says itself; not a number for others.
    """

    at: Array
    frame: Array
    stamp: Array
    objects: Array
    agent_age_ms: Array

    @property
    def rate(self) -> float:
        """Results a second, from the first to the last."""
        return (len(self.at) - 1) / (self.at[-1] - self.at[0]) if len(self.at) > 1 else 0.0

    @property
    def ages_ms(self) -> Array:
        """From the stamp to the arrival, of those that have one."""
        ages: Array = ((self.at - self.stamp) * 1e3)[~np.isnan(self.stamp)]
        return ages

    def after(self, seconds: float) -> Stream:
        """Return what arrived later than so many seconds after the first."""
        chosen = self.at >= self.at[0] + seconds if len(self.at) else slice(None)
        return Stream(*(getattr(self, name)[chosen] for name in self.__slots__))

    def stamped(self, by_frame: Mapping[int, float | None]) -> Stream:
        """Return the same with the stamps that a witness noted by the frame's number."""
        stamps = np.array([_number(by_frame.get(int(f))) for f in self.frame])
        return Stream(self.at, self.frame, stamps, self.objects, self.agent_age_ms)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of one contestant.

    Attributes:
        streams: by program and camera, the order of both.
        cpu_s: for each program, moments and the processor time spent until then.
        peak_rss_bytes: the most that was held at once, all programs together.
        others_share: how much of one core other processes took meanwhile.
        disturbed: more than the guard allows, and no quieter turn was to be had.
        start_s: from starting the process to its first result.
        notes: what ours wrote down itself; the agent's summary under `summary`.
        failure: why there is nothing; empty where it went well.
    """

    name: str
    streams: Sequence[Stream]
    cpu_s: Sequence[Array]
    peak_rss_bytes: int
    others_share: float
    disturbed: bool
    start_s: float
    notes: Mapping[str, Any]
    failure: str = ""

    @property
    def rate(self) -> float:
        """All results a second."""
        return sum(stream.rate for stream in self.streams)

    @property
    def frames(self) -> int:
        return sum(len(stream.at) for stream in self.streams)

    @property
    def objects(self) -> int:
        return int(sum(stream.objects.sum() for stream in self.streams))

    def cpu_between(self, begin: float, end: float) -> float:
        """Return the processor time of all programs between two moments, seconds."""
        spent = 0.0
        for timeline in self.cpu_s:
            if len(timeline):
                low, high = np.interp([begin, end], timeline[:, 0], timeline[:, 1])
                spent += float(high - low)
        return spent

    @property
    def cpu_ms_a_frame(self) -> float:
        """Processor time for each result, from the first to the last."""
        begin, end = self.span
        counted = self.frames - len(self.streams)
        return self.cpu_between(begin, end) / counted * 1e3 if counted > 0 else float("nan")

    @property
    def cpu_percent(self) -> float:
        """Processor time over time, 100 is one core."""
        begin, end = self.span
        return self.cpu_between(begin, end) / (end - begin) * 100 if end > begin else float("nan")

    @property
    def span(self) -> tuple[float, float]:
        """When the first and the last result came."""
        moments = [stream.at for stream in self.streams if len(stream.at)]
        return (min(m[0] for m in moments), max(m[-1] for m in moments)) if moments else (0.0, 0.0)


def stream_of(columns: Mapping[str, Sequence[Any]]) -> Stream:
    """Read the receiver's columns."""
    at, frame, objects = (np.array(columns[name]) for name in ("at", "frame", "objects"))
    stamp, age = (np.array([_number(v) for v in columns[name]]) for name in ("stamp", "age_ms"))
    return Stream(at, frame, stamp, objects, age)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
