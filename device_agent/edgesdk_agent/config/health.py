"""The section `health`: the marks of the checks, and how patient the watchdog is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgesdk_agent.config.section import Section
from edgesdk_agent.health.limits import HealthLimits
from edgesdk_agent.health.watchdog import WatchdogSettings


class HealthSection(Section):
    """When the agent calls itself degraded; see docs/health.md.

    Attributes:
        interval_s: between two readings.
        age_budget_ms: from a picture to its result, for 95 of 100.
        warm_c: processor temperature that is warned of; ten degrees more is a failure.
        disk_free_mb: less is warned of; a fifth of it is a failure.
        watchdog: of a pipeline that stands still although pictures come. `log` tells what each thread does and mends what
            it can, `exit` ends the process after that; `auto` does so where a service manager starts it again.
        stall_s: how long it may stand still; exit_after_s: until the process ends.
        status_file: keep `edgesdk-agent status` up to date, in memory-backed space.
    """

    interval_s: float = Field(default=5.0, ge=0.1, le=300)
    age_budget_ms: float = Field(default=1000.0, ge=1, le=3_600_000)
    warm_c: float = Field(default=80.0, ge=20, le=120)
    disk_free_mb: float = Field(default=500.0, ge=0, le=1e9)
    watchdog: Literal["auto", "exit", "log", "off"] = "auto"
    stall_s: float = Field(default=30.0, ge=0.5, le=3600)
    exit_after_s: float = Field(default=90.0, ge=1, le=86400)
    status_file: bool = True

    @model_validator(mode="after")
    def _looks_before_it_ends(self) -> HealthSection:
        if self.exit_after_s < self.stall_s:
            raise ValueError(f"exit_after_s ({self.exit_after_s:g}) is less than stall_s ({self.stall_s:g})")
        return self

    def limits(self) -> HealthLimits:
        """Return the marks of the checks."""
        free = int(self.disk_free_mb * 1e6)
        return HealthLimits(
            age_budget_ms=self.age_budget_ms,
            temperature_c=(self.warm_c, self.warm_c + 10.0),
            disk_free_bytes=(free, free // 5),
        )

    def patience(self) -> WatchdogSettings:
        """Return the watchdog's."""
        return WatchdogSettings(stall_s=self.stall_s, exit_after_s=self.exit_after_s)
