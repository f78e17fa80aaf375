"""Whether the device slows itself down, where it says so: the Raspberry Pi's firmware, and x86's own counters."""

from __future__ import annotations

from pathlib import Path

_PI_FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"
# What is so now; the bits from 16 on say what was so at some time since the start.
_PI_BITS = {0: "too little voltage", 1: "its frequency is capped", 2: "throttled", 3: "at its soft temperature limit"}
_X86_COUNTS = "devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"


class Throttling:
    """Ask the device, reading by reading.

    Args:
        sys_dir: where the kernel shows it.
    """

    def __init__(self, sys_dir: Path = Path("/sys")) -> None:
        self._firmware = sys_dir / _PI_FIRMWARE
        self._counters = sorted(sys_dir.glob(_X86_COUNTS))
        self._count: int | None = None

    def now(self) -> tuple[str, ...]:
        """Return why it is slower than it could be, since the last reading; nothing where it is not, or does not say."""
        bits = _number(self._firmware, 16)
        reasons = [] if bits is None else [word for bit, word in _PI_BITS.items() if bits >> bit & 1]
        counts = [count for path in self._counters if (count := _number(path, 10)) is not None]
        if counts:
            total, before = sum(counts), self._count
            self._count = total
            if before is not None and total > before:
                reasons.append("throttled by heat")
        return tuple(reasons)


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text().strip(), base)
    except (OSError, ValueError):
        return None
