"""The environments on the disk: one folder for each attempt to build one, kept as long as a complete slot names it.

ROOT/agents/NAME   an environment; NAME is 24 digits of its release's digest and 8 of the attempt

What a killed agent's pip still writes is in nobody's way: the next attempt is elsewhere. What runs is never written.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from edgesdk_agent.update.launcher import ENVIRONMENTS
from edgesdk_agent.update.record import Release
from edgesdk_targets.file_system_sync import sync_file_system
from edgesdk_targets.whole_file import disk_errors

_DIGITS, _ATTEMPT_BYTES = 24, 4


class Environments:
    """The folder of environments; used by one thread."""

    def __init__(self, root: Path) -> None:
        self._folder = root / ENVIRONMENTS

    def place(self, name: str) -> Path:
        """Return where an environment lies."""
        return self._folder / name

    def begin(self, agent: Release) -> str:
        """Make an empty folder for another attempt, and return its name. Raises NoSpace, InputError."""
        name = agent.hex[:_DIGITS] + secrets.token_hex(_ATTEMPT_BYTES)
        with disk_errors(self._folder):
            self.place(name).mkdir(parents=True)
        return name

    def make_lasting(self) -> None:
        """Return once all that was built is on the disk for good. Raises NoSpace, InputError: it is not."""
        # Thousands of files that another program wrote: one after the other they would take a card minutes.
        with disk_errors(self._folder):
            sync_file_system(self._folder)

    def forget(self, but: AbstractSet[str]) -> None:
        """Remove all but these. Raises NoSpace, InputError."""
        with disk_errors(self._folder), suppress(FileNotFoundError):
            for place in sorted(self._folder.iterdir()):
                if place.name not in but:
                    _remove(place)


def _remove(place: Path) -> None:
    # What an attempt that was killed still writes may come in between; it is removed the next time.
    for folder, folders, files in os.walk(place, topdown=False):
        for name in files:
            os.unlink(Path(folder) / name)  # noqa: PTH108  (all of them calls of `os`, for the test of power cuts)
        for name in folders:
            path = Path(folder) / name
            (os.unlink if path.is_symlink() else os.rmdir)(path)
    os.rmdir(place)  # noqa: PTH106
