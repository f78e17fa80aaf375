"""The clock that deadlines count by: it runs since the system's start, also while that sleeps, and knows no date."""

from __future__ import annotations

import time
from pathlib import Path

from edgesdk_agent.update.rules import Moment

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def moment() -> Moment:
    """Return now."""
    return Moment(_BOOT_ID.read_text("ascii").strip(), time.clock_gettime(time.CLOCK_BOOTTIME))
