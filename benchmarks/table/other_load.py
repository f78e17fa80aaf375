"""What other processes take of the machine while something is timed; without knowing it, a time means nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_HZ = os.sysconf("SC_CLK_TCK")
# Columns of the first line of /proc/stat; what a hypervisor takes away counts as taken by others.
_IDLE, _IOWAIT, _STEAL = 3, 4, 7


class OtherLoad:
    """Watches from now on.

    Args:
        own: process ids that are not "others", beside this process.
    """

    def __init__(self, own: Iterable[int], proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._own = (os.getpid(), *own)
        self._begun = time.perf_counter()
        self._busy, self._used = self._busy_s(), self._used_s()

    def percent(self) -> float:
        """Return what others took since, in percent of one core."""
        passed = time.perf_counter() - self._begun
        others = (self._busy_s() - self._busy) - (self._used_s() - self._used)
        return max(0.0, 100 * others / passed) if passed > 0 else 0.0

    def _busy_s(self) -> float:
        ticks = [int(n) for n in (self._proc / "stat").read_text().splitlines()[0].split()[1 : _STEAL + 2]]
        return (sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]) / _HZ

    def _used_s(self) -> float:
        total = 0
        for pid in self._own:
            try:
                # The name in brackets may hold spaces.
                fields = (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            total += int(fields[11]) + int(fields[12])  # in its own and in the kernel's name
        return total / _HZ
