"""Whether this machine has NVIDIA's driver, which, and for which cards; read from the system's files, without loading anything."""

from __future__ import annotations

from pathlib import Path

# A graphics card's, and a Jetson's.
_TEXTS = (Path("/proc/driver/nvidia/version"), Path("/etc/nv_tegra_release"))
_CARDS = Path("/proc/driver/nvidia/gpus")


def nvidia_driver() -> str:
    """Return what the system says of the driver, in one line; nothing where there is none."""
    for path in _TEXTS:
        try:
            lines = path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        return lines[0].strip() if lines else "unknown"
    return ""


def nvidia_cards() -> tuple[str, ...]:
    """Return the names of NVIDIA's graphics cards, as their slots are numbered; none of a Jetson, whose board has its own name."""
    found = []
    for file in sorted(_CARDS.glob("*/information")):
        try:
            lines = file.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        facts = dict(line.partition(":")[::2] for line in lines)
        found.append(facts.get("Model", "").strip() or "unknown")
    return tuple(found)
