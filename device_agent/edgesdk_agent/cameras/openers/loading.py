"""What a kind of source needs, imported when it is opened: listing the kinds needs no library."""

from __future__ import annotations

import importlib
from typing import Any

CAMERAS = "edgesdk_agent.cameras"


def load(path: str) -> Any:
    """Return what `MODULE:NAME` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
