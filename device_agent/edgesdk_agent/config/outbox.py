"""The section `outbox`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edgesdk_agent.config.section import Section
from edgesdk_agent.config.state_directory import state_directory

# Half a gigabyte a month, as small contracts for devices have it.
USUAL_METERED_BYTES = 16_000_000


class OutboxSection(Section):
    """Reports wait on disk until a collector has stored them; without a file they wait in memory (`queue`).

    Attributes:
        path: the outbox's file; files beside it begin with its name. Unless given, `outbox.db` in systemd's state folder;
            without either there is no outbox.
        sync_interval_s: an event that is so old survives a power cut; at most one sync of the card in this time.
        bulk_sync_interval_s: the same for results and telemetry, where no collector has them by then. Half of it writes to the
            card nearly twice as often.
        max_bytes: beyond it the oldest telemetry goes, then results, then events, and the gap is told.
        max_age_s: older reports are dropped, and told as a gap; 0 keeps them.
        resend_s: without an acknowledgement for so long, what was sent is sent again.
        backlog_per_s: most reports of a backlog in a second.
        metered: every byte costs: hold `metered_bytes_per_day`, or 16 MB where that is 0; `--metered` sets it.
        metered_bytes_per_day: most bytes sent in a day (UTC); telemetry waits first, events last. 0 is no limit, unless `metered`.
    """

    path: Path | None = None
    sync_interval_s: float = Field(default=1.0, ge=0.05, le=3600)
    bulk_sync_interval_s: float = Field(default=30.0, ge=0.05, le=3600)
    max_bytes: int = Field(default=64 << 20, ge=64 << 10, le=1 << 40)
    max_age_s: float = Field(default=0.0, ge=0, le=10 * 365 * 86400)
    resend_s: float = Field(default=2.0, ge=0.1, le=3600)
    backlog_per_s: float = Field(default=600.0, ge=1, le=1_000_000)
    metered: bool = False
    metered_bytes_per_day: int = Field(default=0, ge=0, le=1 << 50)

    def bytes_per_day(self) -> int:
        """Return the most bytes that may be sent in a day; 0 is no limit."""
        return self.metered_bytes_per_day or (USUAL_METERED_BYTES if self.metered else 0)

    def file(self) -> Path | None:
        """Return the outbox's file, or None where reports wait in memory."""
        folder = state_directory()
        return self.path or (folder and folder / "outbox.db")
