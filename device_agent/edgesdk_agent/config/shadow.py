"""The section `update.shadow`: what a candidate may take of this device while it runs beside the model that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from edgesdk_agent.config.section import Section

if TYPE_CHECKING:
    # Every start reads this file, and few ever run a shadow.
    from edgesdk_agent.shadow.run import ShadowSettings


class ShadowSection(Section):
    """How this device runs a candidate beside the model that runs; see docs/shadow.md.

    Attributes:
        busy_percent: of all cores, from where on it is quiet; 101 does not look.
        older: and where results are so many times as old as usual.
        memory_mb: that the candidate may hold.
        apart_s: frames that follow each other more closely count once.
        look_s: how often the device's state is looked at.
    """

    busy_percent: float = Field(default=95.0, ge=1, le=101)
    older: float = Field(default=1.25, ge=1, le=100)
    memory_mb: int = Field(default=1024, ge=16, le=1 << 20)
    apart_s: float = Field(default=2.0, ge=0, le=3600)
    look_s: float = Field(default=5.0, ge=0.1, le=60)

    def settings(self) -> ShadowSettings:
        """Return it for a run."""
        from edgesdk_agent.shadow.model_process import ProcessLimits
        from edgesdk_agent.shadow.pace import PaceMarks
        from edgesdk_agent.shadow.run import ShadowSettings

        return ShadowSettings(
            apart_s=self.apart_s,
            look_s=self.look_s,
            process=ProcessLimits(memory_bytes=self.memory_mb << 20),
            pace=PaceMarks(age_times=self.older, busy_percent=self.busy_percent),
        )
