"""Where a device keeps what it made itself: engines, and the answers of probes."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path


def default_cache_dir() -> Path:
    """Return the user's cache folder; for a user without a home a private one, which lasts as long as the process."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "edgesdk"
    try:
        return Path.home() / ".cache" / "edgesdk"
    except RuntimeError:
        return _private()


@lru_cache(maxsize=1)
def _private() -> Path:
    return Path(tempfile.mkdtemp(prefix="edgesdk-cache-"))
