"""What processes cost, from the kernel's own counts: processor time and peak memory, with their children's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """Return the process ids below `pid` that live now."""
    found: list[int] = []
    for task in _listed(Path(f"/proc/{pid}/task")):
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def cpu_s(pids: Sequence[int]) -> float | None:
    """Return the processor time that living processes spent so far, ended children's included; None when the first is gone."""
    total = 0.0
    for place, pid in enumerate(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            if place == 0:
                return None
            continue
        if place == 0 and fields[0] in "ZX":
            return None
        total += sum(int(field) for field in fields[11:15]) / _TICKS
    return total


def peak_rss_bytes(pids: Sequence[int]) -> int:
    """Return the most memory that the processes ever held, added up."""
    return sum(_status_kib(pid, "VmHWM") for pid in pids) * 1024


def rss_bytes(pids: Sequence[int]) -> int:
    """Return the memory that the processes hold now, added up."""
    return sum(_status_kib(pid, "VmRSS") for pid in pids) * 1024


def machine_busy_s() -> float:
    """Return the time that all cores spent in processes (user, nice, system) since the machine's start."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(field) for field in fields[1:4]) / _TICKS


def own_busy_s() -> float:
    """Return the time that this process, its living descendants and its ended children spent."""
    return cpu_s([os.getpid(), *descendants(os.getpid())]) or 0.0


def _status_kib(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
