"""What a process takes, read from the kernel: memory, file descriptors, threads; and its descendants."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One reading of a process."""

    rss_bytes: int
    fds: int
    threads: int


def figures_of(pid: int) -> ProcessFigures | None:
    """Return what a process takes now; None where it is gone."""
    place = Path("/proc") / str(pid)
    try:
        rss = int((place / "statm").read_text().split()[1]) * _PAGE
        fds = sum(1 for _ in (place / "fd").iterdir())
        threads = sum(1 for _ in (place / "task").iterdir())
    except (OSError, IndexError, ValueError):
        return None
    # A process that ended and was not waited for has no memory left.
    return ProcessFigures(rss, fds, threads) if rss else None


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs, the nearest first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop(0)
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                born = [int(word) for word in children.read_text().split()]
            except (OSError, ValueError):
                continue
            found += born
            waiting += born
    return found
