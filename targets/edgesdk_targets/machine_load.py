"""How busy the whole machine is, by the kernel's own count: less what this process took, it is what others did."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
# Columns of its first line: user, nice, system, idle, iowait, irq, softirq, steal. What a hypervisor takes away is gone too.
_WORK = (slice(0, 3), slice(5, 8))


def machine_busy_s(stat: Path = _STAT) -> float | None:
    """Return the seconds that all cores together were at work since the machine's start; None where no kernel says so."""
    try:
        ticks = [int(count) for count in stat.read_text("ascii").split("\n", 1)[0].split()[1:]]
        return sum(sum(ticks[columns]) for columns in _WORK) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None
