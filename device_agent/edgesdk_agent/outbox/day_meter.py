"""Bytes sent and written on this day (UTC), and who must wait when a day's allowance runs low."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgesdk_agent.link.report_queue import ReportKind

_DAY_S = 86_400
# The share of a day's allowance that may be spent when a kind leaves: what is left is for the more precious.
_MAY_SPEND = {ReportKind.EVENT: 1.0, ReportKind.RESULT: 0.9, ReportKind.TELEMETRY: 0.5}
# A PUBLISH packet's head, topic and properties, TCP and IP, at most.
PACKET_BYTES = 140


class DayMeter:
    """Counts by day; a day ends at midnight by the device's clock."""

    def __init__(self, limit_bytes: int, wall: Callable[[], float], kept: Mapping[str, str]) -> None:
        """Go on from what `to_meta` returned in an earlier run."""
        self._limit_bytes = limit_bytes
        self._wall = wall
        self._day = int(kept.get("day", 0))
        self._sent = int(kept.get("day_sent", 0))
        self._written = int(kept.get("day_written", 0))

    @property
    def sent_bytes(self) -> int:
        self._turn()
        return self._sent

    @property
    def written_bytes(self) -> int:
        self._turn()
        return self._written

    def sent(self, payload_bytes: int) -> None:
        self._turn()
        self._sent += payload_bytes + PACKET_BYTES

    def written(self, count: int) -> None:
        self._turn()
        self._written += count

    def allows(self, kind: ReportKind) -> bool:
        """Tell whether a report of this kind may leave today."""
        return not self._limit_bytes or self.sent_bytes < self._limit_bytes * _MAY_SPEND[kind]

    def to_meta(self) -> dict[str, object]:
        return {"day": self._day, "day_sent": self._sent, "day_written": self._written}

    def _turn(self) -> None:
        today = int(self._wall() // _DAY_S)
        if today != self._day:
            self._day, self._sent, self._written = today, 0, 0
