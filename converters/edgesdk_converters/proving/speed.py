"""Is the narrower artifact faster than the float one on this host? On some processors and models it is not.

Both are run by turns in one process, in short slices, so that whatever else the machine does hits both alike; the figure
is the ratio of their median times. It says nothing about another machine, and nothing of it is written into a bundle.
"""

from __future__ import annotations

import statistics
import time

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.quiet import quiet
from edgesdk_converters.reference import Reference
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.session import Session, SessionOptions, open_files
from edgesdk_targets.tensor import Array

_WARM_UP = 5
_SLICES = 12
_SLICE_S = 0.05
# Within this much of each other two times are the same.
EVEN = 0.03


def time_ratio(reference: Reference, narrow: tuple[Variant, Artifact], plain: tuple[Variant, Artifact]) -> float:
    """Return the median time of `narrow` over that of `plain`, one thread each.

    Raises:
        SessionFailed: one of them does not run here.
    """
    sessions = [_open(reference, variant, artifact) for variant, artifact in (narrow, plain)]
    try:
        feeds = [{spec.name: spec.empty() for spec in session.inputs} for session in sessions]
        for feed in feeds:
            for array in feed.values():
                array[...] = 0
        for session, feed in zip(sessions, feeds, strict=True):
            for _ in range(_WARM_UP):
                session.run(feed)
        times: list[list[float]] = [[], []]
        for _ in range(_SLICES):
            for mine, session, feed in zip(times, sessions, feeds, strict=True):
                mine.extend(_slice(session, feed))
        return statistics.median(times[0]) / statistics.median(times[1])
    finally:
        for session in sessions:
            session.close()


def _open(reference: Reference, variant: Variant, artifact: Artifact) -> Session:
    with quiet("compare"):  # LiteRT greets on stderr
        options = SessionOptions(threads=1)
        return open_files(artifact.files, variant, reference.inputs, reference.outputs, options=options)


def _slice(session: Session, feed: dict[str, Array]) -> list[float]:
    took = []
    end = time.perf_counter() + _SLICE_S
    while True:
        began = time.perf_counter()
        session.run(feed)
        now = time.perf_counter()
        took.append(now - began)
        if now >= end:
            return took
