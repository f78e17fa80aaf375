"""The section `governor`: what is given up under heat, and in which order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from edgesdk_agent.config.section import Name, Section
from edgesdk_agent.governor.ladder import USUAL_LADDER, Rung
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk_agent.governor.governor import GovernorSettings


class RungSection(Section):
    """One rung: exactly one thing that is given up.

    Attributes:
        rate: share of each live camera's frames that the model still sees.
        variant: of the bundle, that runs instead.
        bundle: another bundle that runs instead, such as the same model with a smaller input.
        pause: how many cameras are not looked at any more, the least important first.
    """

    rate: float | None = Field(default=None, gt=0, lt=1)
    variant: str = Field(default="", max_length=256)
    bundle: Path | None = None
    pause: int = Field(default=0, ge=0, le=1000)

    @model_validator(mode="after")
    def _one_thing(self) -> RungSection:
        given = [self.rate is not None, bool(self.variant or self.bundle), self.pause > 0]
        if sum(given) != 1:
            raise ValueError("gives up one thing: rate, variant or bundle, or pause")
        return self

    def rung(self) -> Rung:
        """Return it, with a name for events."""
        if self.rate is not None:
            return Rung(f"{100 * self.rate:g} % of the frames", rate=self.rate)
        if self.pause:
            return Rung(f"{self.pause} cameras less" if self.pause > 1 else "one camera less", pause=self.pause)
        name = self.variant or (self.bundle.stem if self.bundle else "")
        return Rung(f"the model {name}", variant=self.variant, bundle=str(self.bundle or ""))


class GovernorSection(Section):
    """Do less when the device is strained; see docs/health.md. The age budget is `health.age_budget_ms`.

    Attributes:
        enabled: off by default, as it changes what is looked at.
        ladder: what is given up, first to last; unless given: frames, then the bundle's own cheaper variants, then cameras.
        important: cameras that are kept longest, the most important first.
        warm_c: processor temperature from which it acts; it takes back 8 degrees below.
    """

    enabled: bool = False
    ladder: tuple[RungSection, ...] = Field(default=(), max_length=16)
    important: tuple[Name, ...] = Field(default=(), max_length=256)
    warm_c: float = Field(default=80.0, ge=20, le=120)

    def check_bundles(self) -> None:
        """Look for the rungs' bundles at the start: under strain it is too late.

        Raises:
            InputError: one is not there.
        """
        for place, section in enumerate(self.ladder if self.enabled else ()):
            if section.bundle is not None and not os.path.exists(section.bundle):  # noqa: PTH110  (answers for too long a name)
                raise InputError(
                    f"governor.ladder[{place}].bundle: there is no {section.bundle}.",
                    hint="Put the bundle there, or correct the path; it is relative to the configuration file.",
                )

    def settings(self, age_budget_ms: float, usual: Sequence[Rung] = USUAL_LADDER) -> GovernorSettings:
        """Return what the governor holds.

        Args:
            usual: the ladder where none is given.
        """
        from edgesdk_agent.governor.governor import GovernorSettings
        from edgesdk_agent.governor.strain import StrainMarks

        ladder = tuple(section.rung() for section in self.ladder) or tuple(usual)
        marks = StrainMarks(temperature_c=(self.warm_c, self.warm_c - 8.0))
        return GovernorSettings(age_budget_ms=age_budget_ms, ladder=ladder, marks=marks)
