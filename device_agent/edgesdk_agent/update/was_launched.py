"""Whether a launcher started this process: asked by each, so that who was not launched loads nothing more of updates."""

from __future__ import annotations

import os

# The launcher has its own, as a copy of it works alone.
_SLOT = "EDGESDK_SLOT"


def was_launched() -> bool:
    """Say whether this process runs a launcher's slot."""
    return bool(os.environ.get(_SLOT))
