"""The folder that systemd gives a service for what outlives a restart."""

from __future__ import annotations

import os
from pathlib import Path


def state_directory() -> Path | None:
    """Return systemd's `STATE_DIRECTORY`, or None where the agent is no service of it."""
    # systemd names several, separated by colons, where a unit asks for several.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else None
