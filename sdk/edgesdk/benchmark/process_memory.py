"""This process's own memory, as Linux counts it.

The peak that `getrusage` gives for a child begins with its parent's, from which it was forked; `VmHWM` does not, and can
be set back.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Return the memory in use now; 0 where it cannot be read."""
    return _read("VmRSS")


def peak_bytes() -> int:
    """Return the most memory in use since the start or the last `reset_peak`; 0 where it cannot be read."""
    return _read("VmHWM")


def reset_peak() -> None:
    """Begin counting the peak anew, where the kernel lets a process do so."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5", "ascii")


def _read(key: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0
