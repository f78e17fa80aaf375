"""Whether the launcher started this process, from which slot, and whether another slot is to take its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.update.launcher import FOLDER_VARIABLE, SLOT_VARIABLE, SLOTS, read_switch


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that runs a slot.

    Attributes:
        root: the folder of the slots.
    """

    root: Path
    slot: str

    def is_replaced(self) -> bool:
        """Say whether the launcher ends this process to run the other slot."""
        return read_switch(self.root).runs != self.slot


def launched(environment: Mapping[str, str] | None = None) -> Launched | None:
    """Return which slot this process runs, or None where no launcher started it.

    Args:
        environment: `os.environ` unless given.
    """
    environment = os.environ if environment is None else environment
    root, slot = environment.get(FOLDER_VARIABLE, ""), environment.get(SLOT_VARIABLE, "")
    return Launched(Path(root), slot) if root and slot in SLOTS else None
