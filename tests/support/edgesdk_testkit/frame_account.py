"""Every frame of an agent accounted for: what its camera gave, against the results that a fleet's store holds.

Nobody's word is taken alone. The agent's closing summary says how many frames its camera gave, and what it dropped for which
cause. The store has each result with the frame's own number: the camera counts from 0 at each start of the agent, so within
one life these go up by one, or a result is missing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from edgesdk.fleet.store.batch import Kind

_NEAR_S = 2.0


@dataclass(slots=True)
class FrameCount:
    """What rows of results show of their frames; nothing but the numbers is asked.

    Attributes:
        rows: results; twice: of these, frames that are there before.
        lives: starts of the agent.
        missing: frames of which a later one of the same life is there.
    """

    rows: int = 0
    twice: int = 0
    lives: int = 0
    missing: int = 0


@dataclass(slots=True)
class FrameAccount:
    """One device: the frames that its camera gave, and where each ended.

    Attributes:
        captured: by the agent's own summaries; dropped: of these without a result, by cause.
        results: in the store, each frame once; versions: of the bundle that they are of.
    """

    captured: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    found: FrameCount = field(default_factory=FrameCount)
    versions: Counter[str] = field(default_factory=Counter)

    @property
    def results(self) -> int:
        return self.found.rows - self.found.twice

    @property
    def unaccounted(self) -> int:
        """Frames that the camera gave, of which there is neither a result in the store nor a cause; below 0: given by nobody."""
        return self.captured - self.results - self.dropped.total()

    @property
    def is_complete(self) -> bool:
        """Whether each frame is there once, or has a cause, by the agent's word and by the frames' own numbers."""
        return not self.unaccounted and not self.found.twice and self.found.missing <= self.dropped.total()


def frame_count(frames: Iterable[tuple[int, str]]) -> FrameCount:
    """Count the frames of one device's results: number and time of capture, in the order of its reports."""
    found, seen, before = FrameCount(), set[tuple[int, str]](), -1
    for frame, captured_at in frames:
        found.rows += 1
        if (frame, captured_at) in seen:
            found.twice += 1
            continue
        if not seen or frame <= before:
            # Each life counts from 0: what is first is the first, or those before it are missing.
            found.lives += 1
            before = -1
        found.missing += frame - before - 1
        seen.add((frame, captured_at))
        before = frame
    return found


@dataclass(frozen=True, slots=True)
class CaptureGaps:
    """Seconds between neighbouring frames of one camera that have results, by their times of capture.

    A live camera leaves out what nobody reads, and counts only what it gave: a pause shows here alone.

    Attributes:
        usual: the median; longest: of all.
        at_swaps: the longest one within two seconds of each frame that is the first of another version.
    """

    usual: float
    longest: float
    at_swaps: tuple[float, ...]


def captured_s(result: Mapping[str, Any]) -> float:
    """Return when the frame of a result was captured, in seconds since 1970."""
    return datetime.fromisoformat(result["captured_at"].replace("Z", "+00:00")).timestamp()


def capture_gaps(results: Iterable[Mapping[str, Any]]) -> CaptureGaps:
    """Return the gaps between results, given in any order, of which there are at least two."""
    found = sorted((captured_s(one), one["bundle"]["version"]) for one in results)
    gaps = [(earlier, later) for (earlier, _), (later, _) in pairwise(found)]
    swaps = [later for (_, before), (later, version) in pairwise(found) if version != before]

    def longest_near(swap: float) -> float:
        return max(end - begin for begin, end in gaps if begin - swap <= _NEAR_S and swap - end <= _NEAR_S)

    lengths = [end - begin for begin, end in gaps]
    return CaptureGaps(median(lengths), max(lengths), tuple(longest_near(swap) for swap in swaps))


def account_of(db: Path, node: str, summaries: Sequence[dict[str, Any]]) -> FrameAccount:
    """Return the account of a device with one camera.

    Args:
        db: the fleet's store, a file.
        summaries: what each of its starts said at its end.
    """
    account = FrameAccount()
    for summary in summaries:
        account.captured += summary["frames"]["captured"]
        account.dropped.update(summary["frames"]["dropped"])
    rows = results_of(db, node)
    account.found = frame_count((row["frame"], row["captured_at"]) for row in rows)
    account.versions.update(row["bundle"]["version"] for row in rows)
    return account


def results_of(db: Path, node: str) -> list[dict[str, Any]]:
    """Return a device's results in a fleet's store, a file, in the order of its reports."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        asked = connection.execute(
            "SELECT body FROM records JOIN nodes ON nodes.id = records.node WHERE nodes.name = ? AND kind = ?"
            " ORDER BY stream, seq",
            (node, int(Kind.RESULT)),
        )
        return [json.loads(row[0]) for row in asked]
