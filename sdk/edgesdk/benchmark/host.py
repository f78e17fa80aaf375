"""The machine on which something was measured: without it a time means nothing."""

from __future__ import annotations

import contextlib
import os
import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.nvidia_driver import nvidia_cards
from edgesdk_targets.variant_choice import this_host

# Of each fact that is read again: a longer one in a document is not from here.
MOST_CHARACTERS = 200
_SYS = Path("/sys")
_THROTTLE_C = 80.0


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of this machine.

    Attributes:
        target: the machine's own target where it is one that edgesdk knows.
        cores: that this process may use.
        governor: of the first core's clock; None where it cannot be read.
        temperature_c: the hottest sensor; None where there is none.
        load: processes that wanted to run in the last minute, on average.
        accelerator: the graphics cards, by their names, alike ones as `8 x NAME`; None where none is known.
    """

    cpu: str
    arch: str
    cores: int
    target: str | None
    system: str
    python: str
    governor: str | None
    temperature_c: float | None
    load: float
    accelerator: str | None = None

    @property
    def in_words(self) -> str:
        """What it is, in one line."""
        cards = f", {self.accelerator}" if self.accelerator else ""
        return f"{self.cpu}, {self.cores} cores{cards}, {self.system}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say what makes times here untrue."""
        found = []
        if self.governor in {"powersave", "ondemand", "conservative", "schedutil"}:
            found.append(
                f"the clock's governor is {self.governor!r}: times vary with the load; `performance` is steadier"
            )
        if self.temperature_c is not None and self.temperature_c >= _THROTTLE_C:
            found.append(f"the machine is hot ({self.temperature_c:.0f} °C) and may have slowed down")
        if self.load > self.cores:
            found.append(f"other work is running (load {self.load:.1f} on {self.cores} cores): times are too long")
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        return {
            "cpu": self.cpu,
            "arch": self.arch,
            "cores": self.cores,
            "target": self.target,
            "accelerator": self.accelerator,
            "system": self.system,
            "python": self.python,
            "governor": self.governor,
            "temperature_c": self.temperature_c,
            "load": round(self.load, 2),
            "warnings": list(self.warnings),
        }


def host_facts() -> HostFacts:
    """Read this machine."""
    host = this_host()
    return HostFacts(
        cpu_model(),
        host.arch,
        cores(),
        host.target,
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        _text(_SYS / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        _temperature(),
        os.getloadavg()[0],
        _accelerator(),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """Name the processor, or the board where the processor does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model"} and value.strip():
                return value.strip()
    board = _text(Path("/proc/device-tree/model"))
    return board or platform.processor() or platform.machine()


def _accelerator() -> str | None:
    alike = Counter(nvidia_cards()).items()
    told = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in alike)
    return (told if len(told) <= MOST_CHARACTERS else f"{told[: MOST_CHARACTERS - 1]}…") or None


def _temperature() -> float | None:
    found = []
    for sensor in sorted((_SYS / "class/thermal").glob("thermal_zone*/temp")):
        text = _text(sensor)
        with contextlib.suppress(ValueError, TypeError):
            found.append(int(text or "") / 1000)
    return max(found, default=None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
