"""How busy the cores of this process are, by the kernel's own count: less what this process took, it is what others did."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
# Columns of a core's line: user, nice, system, idle, iowait, irq, softirq, steal. What a hypervisor takes away is gone too.
_WORK = (slice(0, 3), slice(5, 8))


def machine_busy_s(stat: Path = _STAT) -> float | None:
    """Return the seconds that the cores which this process may use were at work since the machine's start, all together.

    None where no kernel says so of each of them. What is done on a large machine's other cores takes nothing from this process.
    """
    wanted = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        lines = [line.split() for line in stat.read_text("ascii").splitlines()]
        cores = [[int(count) for count in words[1:]] for words in lines if words and words[0] in wanted]
    except (OSError, ValueError):
        return None
    if len(cores) < len(wanted):
        return None
    return sum(sum(ticks[columns]) for ticks in cores for columns in _WORK) / os.sysconf("SC_CLK_TCK")
