"""What a collector did since its start: counts, each device's place, and how long it took until reports were committed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgesdk.fleet.store.ingest import Committed

_MAX_SHOWN_NODES = 10_000
# Whole milliseconds are counted one by one up to here; what took longer is one heap.
_LONGEST_MS = 60_000


class Lags:
    """How long something took, each time, in whole milliseconds: a hundred thousand of them cost no more room than ten."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, delays_ms: Iterable[int]) -> None:
        """Note how long each took."""
        counts = self._counts
        # What comes together took as long as each other, within a millisecond or so.
        for ms, times in Counter(delays_ms).items():
            at = 0 if ms < 0 else min(ms, _LONGEST_MS)
            counts[at] = counts.get(at, 0) + times

    def to_json(self) -> dict[str, int | None]:
        """Return what half and 99 of 100 did not exceed, and the longest, in milliseconds; None where there was nothing."""
        total = sum(self._counts.values())
        told: dict[str, int | None] = {"p50": None, "p99": None, "max": max(self._counts, default=None)}
        below = 0
        for ms in sorted(self._counts):
            below += self._counts[ms]
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                if told[name] is None and below >= share * total:
                    told[name] = ms
        return told


@dataclass(slots=True)
class NodeFigures:
    """One device since the recorder's start; `missing` numbers are neither stored nor declared as gone."""

    epoch: str = ""
    stored: int = 0
    upto: int = 0
    missing: int = 0
    heard_at: float = 0.0


@dataclass(slots=True)
class Figures:
    """What the recorder did since its start.

    Attributes:
        unread: messages without an acknowledgement that came too fast.
        commit_lag: from when a message came until it was committed.
        report_lag: from when a device says that it made a report until that was committed; only what came live, and
            right as far as the device's clock is.
    """

    messages: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    unread: int = 0
    lost: int = 0
    commits: int = 0
    nodes: dict[str, NodeFigures] = field(default_factory=dict)
    commit_lag: Lags = field(default_factory=Lags)
    report_lag: Lags = field(default_factory=Lags)

    def note(self, committed: Committed) -> None:
        """Take what a commit did."""
        self.commits += 1
        self.stored += sum(committed.stored.values())
        self.duplicates += committed.duplicates
        self.refused += committed.refused
        self.lost += committed.lost
        now = time.monotonic()
        for stream, coverage in committed.coverage.items():
            node = self.nodes.get(stream.node)
            if node is None:
                if len(self.nodes) >= _MAX_SHOWN_NODES:
                    continue
                node = self.nodes[stream.node] = NodeFigures()
            node.epoch, node.upto, node.heard_at = stream.epoch, coverage.upto, now
            node.missing = coverage.highest - coverage.count
            node.stored += committed.stored.get(stream, 0)

    def note_lags(self, received_ms: Iterable[int], made_ms: Iterable[int]) -> None:
        """Take when what was just committed had been received, and when it had been made; milliseconds since 1970."""
        now_ms = int(time.time() * 1000)
        self.commit_lag.add([now_ms - at_ms for at_ms in received_ms if at_ms])
        self.report_lag.add([now_ms - at_ms for at_ms in made_ms])

    def to_json(self) -> dict[str, Any]:
        """Return all but the devices, with stable keys."""
        return {
            "messages": self.messages,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "unread": self.unread,
            "lost": self.lost,
            "commits": self.commits,
            "commit_lag_ms": self.commit_lag.to_json(),
            "report_lag_ms": self.report_lag.to_json(),
        }
