"""Whether this machine has NVIDIA's driver, and which; read from the system's files, without loading anything."""

from __future__ import annotations

from pathlib import Path

# A graphics card's, and a Jetson's.
_TEXTS = (Path("/proc/driver/nvidia/version"), Path("/etc/nv_tegra_release"))


def nvidia_driver() -> str:
    """Return what the system says of the driver, in one line; nothing where there is none."""
    for path in _TEXTS:
        try:
            lines = path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        return lines[0].strip() if lines else "unknown"
    return ""
