"""The section `update`: whose bundles this device takes, and what a new one must show before it stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from edgesdk_agent.config.section import Section
from edgesdk_agent.config.shadow import ShadowSection
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    # Every start reads this file, and most need nothing of updates.
    from edgesdk_agent.update.rules import Limits
    from edgesdk_agent.update.trial_gate import GateLimits
    from edgesdk_agent.update.window import Window

_DAY_S = 26 * 3600.0  # and a little


def _hours(value: str) -> str:
    from edgesdk_agent.update.window import Window

    Window.from_text(value)
    return value


class ReleasedSection(Section):
    """A fleet's TUF repository: what it does not list is not taken, whoever signed it; see docs/signing.md.

    Attributes:
        url: of the folder that holds `metadata`, https.
        root: the file of the root that is trusted first, as it was brought to this device.
    """

    url: str = Field(max_length=2048)
    root: Path

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        from edgesdk_agent.server_address import ServerAddress

        try:
            ServerAddress.parse(value, "It")
        except InputError as error:
            raise ValueError(f"{error.message} {error.hint}") from error
        return value


class UpdateSection(Section):
    """How this device changes its model; see docs/updating.md. It works under the launcher alone.

    Attributes:
        keys: files of trusted keys; a bundle that none of these keys signed is refused.
        released: a fleet's repository, which must list a bundle as well; none unless given.
        folder: of the slots, the same that the launcher is started with.
        ca: a PEM file of whom to trust as a server of bundles, such as a fleet's own authority; the system's unless given.
        bytes_per_s: as many come of a download, all that the network gives unless set.
        hours: `22:00-05:30`, by this device's clock: when an update may come and be tried; at any time unless set.
        soak_s, frames: what a trial must show: so long, and so many results of each camera.
        slower: how many times as old as before the results may be.
        unlike: how many standard errors the results may be away from those before; `off` does not compare them.
        growth_mb: by how many megabytes memory may grow, stretch by stretch; `off` does not look.
        swap: let a bundle take over between two frames, where it can; else the agent is started anew.
        shadow: what a candidate may take that runs beside the model first.
        trial_s: how long a start on trial may take to show it; trial_starts: and how many starts it has.
    """

    keys: Annotated[tuple[Path, ...], Field(min_length=1, max_length=16)]
    released: ReleasedSection | None = None
    folder: Path = Path("/var/lib/edgesdk/update")
    ca: Path | None = None
    bytes_per_s: int | None = Field(default=None, ge=1024, le=1 << 40)
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    soak_s: float = Field(default=60.0, ge=0.1, le=86400)
    frames: int = Field(default=30, ge=1, le=1_000_000)
    slower: float = Field(default=1.5, ge=1, le=100)
    unlike: Annotated[float, Field(ge=1, le=1000)] | Literal["off"] = 4.0
    growth_mb: Annotated[float, Field(ge=1, le=1 << 20)] | Literal["off"] = 32.0
    swap: bool = True
    trial_s: float = Field(default=600.0, ge=1, le=86400)
    trial_starts: int = Field(default=3, ge=1, le=10)
    shadow: ShadowSection = ShadowSection()

    @model_validator(mode="after")
    def _can_be_shown(self) -> UpdateSection:
        if self.trial_s <= self.soak_s:
            raise ValueError(f"trial_s ({self.trial_s:g}) leaves no time for soak_s ({self.soak_s:g})")
        return self

    def limits(self) -> Limits:
        """Return how long each step may take."""
        from edgesdk_agent.update.rules import Limits

        usual = Limits(trial_s=self.trial_s, trial_starts=self.trial_starts)
        # Whatever waits for the hours sees each of them once before its time is over.
        return usual if self.hours is None else replace(usual, downloading_s=_DAY_S, staged_s=_DAY_S)

    def gate(self, budget_ms: float) -> GateLimits:
        """Return what a trial must show; `budget_ms` is how old results may be at all."""
        from edgesdk_agent.update.trial_gate import GateLimits

        # Longer, but not so long that a trial's time is over before.
        longer_s = min(2 * self.soak_s, (self.soak_s + self.trial_s) / 2)
        return GateLimits(
            soak_s=self.soak_s, uncompared_soak_s=longer_s, least_frames=self.frames, budget_ms=budget_ms,
            slower=self.slower,
            unlike=None if self.unlike == "off" else self.unlike,
            growth_mb=None if self.growth_mb == "off" else self.growth_mb,
        )  # fmt: skip

    def window(self) -> Window | None:
        """Return the hours; None where any time is right."""
        from edgesdk_agent.update.window import Window

        return None if self.hours is None else Window.from_text(self.hours)
