"""What kind of file system a path lies on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_MOUNTS = Path("/proc/self/mounts")


def is_in_memory(path: Path) -> bool:
    """Say whether a path, which may not be there yet, lies on a file system in memory; False where nobody knows."""
    with suppress(OSError):
        real, best, kind = os.path.realpath(path), "", ""
        for line in _MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
            fields = line.split(" ")
            point = fields[1].encode("utf-8", "surrogateescape").decode("unicode_escape")
            # A later mount on the same point hides the one before.
            if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
                best, kind = point, fields[2]
        return kind in _IN_MEMORY
    return False
