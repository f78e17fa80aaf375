"""How old results are, from the stamp that the camera drew into the picture until the receiver had the message."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.turn import Stream, Turn


def age(turn: Turn, percent: float, warm_up_s: float) -> float:
    """Return a percentile of all results' ages, ms."""
    return age_of(turn.streams, percent, warm_up_s)


def age_of(streams: Sequence[Stream], percent: float, warm_up_s: float) -> float:
    """Return the same for some of the cameras."""
    ages = [stream.after(warm_up_s).ages_ms for stream in streams]
    together = np.concatenate(ages) if ages else np.array([])
    return float(np.percentile(together, percent)) if len(together) else float("nan")


def repeats(turn: Turn) -> float:
    """Return how many results speak of a picture that had its result already."""
    return float(
        sum(_stamped(stream) - len(np.unique(stream.stamp[~np.isnan(stream.stamp)])) for stream in turn.streams)
    )


def unstamped(turn: Turn) -> float:
    """Return how many results have no readable stamp."""
    return float(sum(np.isnan(stream.stamp).sum() for stream in turn.streams))


def growth(turn: Turn, warm_up_s: float) -> float:
    """Return by how much the last quarter's median age is above the first's, ms."""
    ages = turn.streams[0].after(warm_up_s).ages_ms
    quarter = max(1, len(ages) // 4)
    return float(np.median(ages[-quarter:]) - np.median(ages[:quarter]))


def steady_rate(stream: Stream, warm_up_s: float) -> float:
    """Return results a second after the warm-up."""
    return stream.after(warm_up_s).rate


def _stamped(stream: Stream) -> int:
    return int((~np.isnan(stream.stamp)).sum())
