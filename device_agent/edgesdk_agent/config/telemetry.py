"""The section `telemetry`."""

from __future__ import annotations

from pydantic import Field

from edgesdk_agent.config.section import Section


class TelemetrySection(Section):
    """How often the device tells how it does.

    Attributes:
        samples_per_message: more than one saves traffic and comes later.
    """

    interval_s: float = Field(default=10.0, ge=0.1, le=86400)
    samples_per_message: int = Field(default=1, ge=1, le=1000)
