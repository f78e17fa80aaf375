"""What a simulated fleet did: counts, and how long it took until a report was told as stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Whole milliseconds are counted one by one up to here; what took longer is one heap.
_LONGEST_MS = 120_000


@dataclass(slots=True)
class Delays:
    """How long something took, each time, in whole milliseconds."""

    _counts: dict[int, int] = field(default_factory=dict)
    longest_ms: int = 0

    def add(self, seconds: float) -> None:
        """Note one."""
        ms = min(max(int(seconds * 1000), 0), _LONGEST_MS)
        self._counts[ms] = self._counts.get(ms, 0) + 1
        self.longest_ms = max(self.longest_ms, ms)

    def percentile(self, percent: float) -> float | None:
        """Return the delay that so many percent do not exceed, in milliseconds; None where there was none."""
        wanted = sum(self._counts.values()) * percent / 100
        below = 0
        for ms in sorted(self._counts):
            below += self._counts[ms]
            if below >= wanted:
                return float(ms)
        return None

    def to_json(self) -> dict[str, float | None]:
        """Return what half, 95 and 99 of 100 did not exceed, and the longest, in milliseconds."""
        told = {f"p{percent}": self.percentile(percent) for percent in (50, 95, 99)}
        return {**told, "max": float(self.longest_ms) if self._counts else None}


@dataclass(slots=True)
class Figures:
    """What the whole fleet did since its start.

    Attributes:
        made: reports with a number; told_stored: of them, those that a collector told as stored.
        sent: messages that left, again and twice included; resent: those that left again.
        malformed: messages that nobody can read.
        puback: messages that the broker took; refused: messages that it did not.
        acks: words of a collector that were heard.
        dropped: reports that outgrew an outbox, and were declared as gone.
        connected: devices that are connected now; connections: how often one was made; lost: how often one was lost.
        stored_after: from when a report was made until its device heard that it is stored.
        back_after: from the loss of a connection until the next one.
    """

    devices: int = 0
    made: int = 0
    told_stored: int = 0
    sent: int = 0
    resent: int = 0
    malformed: int = 0
    puback: int = 0
    refused: int = 0
    acks: int = 0
    dropped: int = 0
    commands: int = 0
    connected: int = 0
    connections: int = 0
    lost: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    problem: str = ""
    stored_after: Delays = field(default_factory=Delays)
    back_after: Delays = field(default_factory=Delays)

    def to_json(self, seconds: float, kept: int) -> dict[str, Any]:
        """Return all of it, with stable keys."""
        return {
            "seconds": round(seconds, 3),
            "devices": self.devices,
            "connected": self.connected,
            "connections": self.connections,
            "lost_connections": self.lost,
            "made": self.made,
            "told_stored": self.told_stored,
            "kept": kept,
            "dropped": self.dropped,
            "sent": self.sent,
            "resent": self.resent,
            "malformed": self.malformed,
            "taken_by_broker": self.puback,
            "refused_by_broker": self.refused,
            "acks": self.acks,
            "commands": self.commands,
            "bytes_out": self.bytes_out,
            "bytes_in": self.bytes_in,
            "stored_after_ms": self.stored_after.to_json(),
            "back_after_ms": self.back_after.to_json(),
            "problem": self.problem,
        }
