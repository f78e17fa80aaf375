"""Whether the launcher started this process, which slot it runs, and whether another slot is to take its place."""

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

    def moved_to(self, slot: str) -> Launched:
        """Return it as another slot's, also for who asks `launched` from now on, and for a restart of this process."""
        os.environ[SLOT_VARIABLE] = slot
        return Launched(self.root, slot)


def bundle_now(path: str) -> str:
    """Return a bundle's path as of the slot that this process runs now, if it is that of one of the slots."""
    found = launched()
    if found is None:
        return path
    slots = found.root.absolute() / "slots"
    named = Path(path)
    in_slot = named.parent.parent == slots and named.parent.name in SLOTS
    return str(slots / found.slot / named.name) if in_slot else path


def launched(environment: Mapping[str, str] | None = None) -> Launched | None:
    """Return which slot this process runs, or None where no launcher started it.

    Args:
        environment: `os.environ` unless given.
    """
    environment = os.environ if environment is None else environment
    root, slot = environment.get(FOLDER_VARIABLE, ""), environment.get(SLOT_VARIABLE, "")
    # A child that builds an environment works in another folder.
    return Launched(Path(root).absolute(), slot) if root and slot in SLOTS else None
