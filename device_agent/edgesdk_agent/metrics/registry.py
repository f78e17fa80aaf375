"""One registry of counts: telemetry, the status and Prometheus all read it, and nobody counts twice.

Whoever counts offers `counts() -> Mapping[str, int]`, whole numbers that only grow; it is asked when somebody looks, so
that counting costs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

Counts = Callable[[], Mapping[str, int]]
LEFT_OUT = "counts.left_out"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one counter said.

    Attributes:
        group: who counts, such as `outbox`.
        labels: which of several, such as `camera` → name.
        counts: what → how often.
    """

    group: str
    counts: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)


class CountRegistry:
    """Knows everybody who counts; any thread may add or read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: list[tuple[str, dict[str, str], Counts]] = []
        self._told: set[str] = set()

    def add(self, group: str, counts: Counts, **labels: str) -> None:
        """Take on somebody who counts; one of the same group and labels is replaced."""
        with self._lock:
            self._counters = [one for one in self._counters if one[:2] != (group, labels)]
            self._counters.append((group, labels, counts))

    def read(self) -> list[Counted]:
        """Ask everybody; one who cannot answer is left out."""
        with self._lock:
            counters = list(self._counters)
        found = []
        for group, labels, counts in counters:
            try:
                found.append(Counted(group, dict(counts()), labels))
            except Exception:  # a stranger's border: one broken counter must not hide the others
                log.debug("%s could not be counted", group, exc_info=True)
        return found

    def flat(self, most: int = 64) -> dict[str, int]:
        """Return counts above 0 of those without labels as `group.what`, for a message that holds `most` of them.

        What has no room is counted as `counts.left_out`, and named in the log once. Room is shared: each group keeps
        its first ones, so that none is cut away as a whole; the status and the metrics hold all.
        """
        turns: dict[str, int] = {}
        named: dict[str, tuple[int, int]] = {}
        for one in self.read():
            for what, count in sorted(one.counts.items()):
                if count and not one.labels:
                    turns[one.group] = turn = turns.get(one.group, 0) + 1
                    named[f"{one.group}.{what}"] = (turn, count)
        kept = sorted(named, key=lambda name: (named[name][0], name))
        if len(kept) > most:
            kept, gone = kept[: most - 1], kept[most - 1 :]
            self._tell_left_out(gone)
            return {LEFT_OUT: len(gone), **{name: named[name][1] for name in sorted(kept)}}
        return {name: named[name][1] for name in sorted(kept)}

    def _tell_left_out(self, names: list[str]) -> None:
        new = [name for name in names if name not in self._told]
        if new:
            self._told.update(new)
            log.info("Telemetry has no room for %s; the status and the metrics have them", ", ".join(sorted(new)))
