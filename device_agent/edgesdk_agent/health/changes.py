"""Which findings are news: a change of level is told once, and a recovery only when it has lasted.

A figure that moves around its mark would else be told at every reading. What became worse is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgesdk_agent.health.finding import Finding, Level


@dataclass(slots=True)
class _Known:
    level: Level
    better_since: float | None = None


class Changes:
    """Remember what was told of each finding.

    Args:
        settle_s: how long a better level must last before it is told.
    """

    def __init__(self, settle_s: float = 15.0) -> None:
        self._settle_s = settle_s
        self._known: dict[str, _Known] = {}

    @property
    def all_well(self) -> bool:
        """Whether the last thing told of each finding is that it is well."""
        return all(known.level is Level.OK for known in self._known.values())

    def news(self, findings: Iterable[Finding], now: float) -> list[Finding]:
        """Return those that are to be told.

        Args:
            now: seconds of the monotonic clock.
        """
        told = []
        for finding in findings:
            known = self._known.setdefault(finding.key, _Known(Level.OK))
            if finding.level > known.level:
                known.level, known.better_since = finding.level, None
                told.append(finding)
            elif finding.level == known.level:
                known.better_since = None
            elif known.better_since is None:
                known.better_since = now
            elif now - known.better_since >= self._settle_s:
                known.level, known.better_since = finding.level, None
                told.append(finding)
        return told
