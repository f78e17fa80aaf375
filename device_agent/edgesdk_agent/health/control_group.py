"""What this process may take by its control group (a container's or a unit's `MemoryMax`)."""

from __future__ import annotations

from pathlib import Path


def memory_limit_bytes(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the least limit on the way up from the process's group; None where there is none."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    place = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder, found = root / place.strip().lstrip("/"), []
    while True:
        if (limit := _limit(folder / "memory.max")) is not None:
            found.append(limit)
        if folder == root or root not in folder.parents:
            break
        folder = folder.parent
    return min(found, default=None)


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
