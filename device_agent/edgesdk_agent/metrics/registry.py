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
        """Return counts above 0 of those without labels as `group.what`, for a message that holds `most` of them."""
        named = {
            f"{one.group}.{what}": count
            for one in self.read()
            if not one.labels
            for what, count in one.counts.items()
            if count
        }
        return dict(sorted(named.items())[:most])
