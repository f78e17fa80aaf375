"""The section `queue`."""

from __future__ import annotations

from pydantic import Field

from edgesdk_agent.config.section import Section


class QueueSection(Section):
    """How much may wait for the broker; beyond it the oldest telemetry goes, then results, then events."""

    max_reports: int = Field(default=10_000, ge=1, le=10_000_000)
    max_bytes: int = Field(default=16 << 20, ge=1024)
