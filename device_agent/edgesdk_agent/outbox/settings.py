"""How the outbox keeps, sends and forgets."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_agent.link.report_queue import ReportKind


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Times, budgets and rates; the defaults suit a Raspberry Pi with an SD card.

    Attributes:
        sync_interval_s: an event is safe from a power cut when it is so old; at most one sync in this time.
        bulk_sync_interval_s: the same for a result or telemetry, which mostly a collector has long before.
        max_bytes: of reports on disk; beyond it the oldest telemetry goes, then results, then events.
        max_age_s: older reports are dropped; 0 keeps them until the room is needed.
        memory_bytes: of reports that are not on disk, for example because it is full.
        resend_s: without an acknowledgement for so long, what was sent is sent again; doubled each time, at most a minute.
        window: most reports of the backlog that are sent and not acknowledged.
        backlog_per_s: most reports of the backlog in a second.
        metered_bytes_per_day: most bytes sent in a day (UTC); telemetry waits from a half of it, results from nine tenths. 0 is
            no limit.
        reserve: numbers that are set aside with one sync.
        by_collector: reports leave when a collector has them; otherwise at the broker's acknowledgement.
        once_heard: the first acknowledgement of a collector turns `by_collector` on, and the file remembers it.
    """

    sync_interval_s: float = 1.0
    bulk_sync_interval_s: float = 30.0
    max_bytes: int = 64 << 20
    max_age_s: float = 0.0
    memory_bytes: int = 16 << 20
    resend_s: float = 2.0
    window: int = 2000
    backlog_per_s: float = 600.0
    metered_bytes_per_day: int = 0
    reserve: int = 10_000
    by_collector: bool = True
    once_heard: bool = False

    def safe_after_s(self, kind: ReportKind) -> float:
        """Seconds after which a report of a kind survives a power cut."""
        if kind is ReportKind.EVENT:
            return self.sync_interval_s
        return max(self.sync_interval_s, self.bulk_sync_interval_s)
