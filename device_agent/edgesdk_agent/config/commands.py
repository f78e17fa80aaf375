"""The section `commands`: what may be done to this device from afar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from edgesdk_agent.config.field_table import NEVER_SETTABLE, USUALLY_SETTABLE, is_below
from edgesdk_agent.config.section import Section
from edgesdk_agent.config.state_directory import state_directory


def _settable(value: str) -> str:
    closed = next((one for one in NEVER_SETTABLE if is_below(value, one)), None)
    if closed is not None:
        raise ValueError(f"{closed} cannot be set from afar")
    return value


Settable = Annotated[str, AfterValidator(_settable), Field(min_length=1, max_length=200)]


class CommandsSection(Section):
    """What may be done to this device by messages of the broker; see docs/commands.md.

    Attributes:
        enabled: take commands and the desired state.
        state: a folder in which settings made from afar and the ids of commands outlive a restart; systemd's state
            folder unless given, and without either they are forgotten.
        bundles: a folder with the bundles that may be asked for by name; none may unless given.
        require_golden: a bundle takes over only if its golden set proves it here.
        settable: fields, and sections of fields, that may be set.
        trial_s: for so long a setting is watched, and taken back if the device does worse.
        queue: how many commands may wait.
        remembered: of how many commands a repetition is recognised.
    """

    enabled: bool = True
    state: Path | None = None
    bundles: Path | None = None
    require_golden: bool = True
    settable: Annotated[tuple[Settable, ...], Field(max_length=64)] = USUALLY_SETTABLE
    trial_s: float = Field(default=30.0, ge=0.1, le=3600)
    queue: int = Field(default=16, ge=1, le=256)
    remembered: int = Field(default=256, ge=1, le=4096)

    def state_folder(self) -> Path | None:
        """Return where to keep what outlives a restart."""
        return self.state or state_directory()

    def may_set(self, path: str) -> bool:
        """Say whether a field, by its dotted path, may be set from afar."""
        closed = any(is_below(path, one) or is_below(one, path) for one in NEVER_SETTABLE)
        return not closed and any(is_below(path, one) for one in self.settable)
