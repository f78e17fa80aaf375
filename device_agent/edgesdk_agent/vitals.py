"""How the device is: processor, memory, temperature and disk. What cannot be read is None, never a guess."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgesdk_targets.errors import MissingExtra

T = TypeVar("T")

_THERMAL = Path("/sys/class/thermal")
# Below or above this a sensor is absent or broken; some report 0 or -274.
_PLAUSIBLE_C = (-40.0, 150.0)
_PROCESSOR_WORDS = ("cpu", "soc", "core", "k10temp", "package", "pkg", "tctl")


@dataclass(frozen=True, slots=True)
class Vitals:
    """One reading.

    Attributes:
        cpu_s: processor time of this process since its start, seconds.
        cpu_percent: of this process since the last reading, 100 is one core; None at the first.
        system_cpu_percent: of all cores since the last reading, 100 is all of them.
        rss_bytes: memory of this process; memory_total_bytes, memory_available_bytes: of the device.
        temperature_c: of the processor, the hottest sensor.
        disk_free_bytes: where the agent keeps its data; the least, where that is on several disks.
        fds: file descriptors that this process has open; fds_limit: how many it may have; threads: of this process.
    """

    cpu_s: float | None
    cpu_percent: float | None
    system_cpu_percent: float | None
    rss_bytes: int | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    temperature_c: float | None
    disk_free_bytes: int | None
    fds: int | None = None
    fds_limit: int | None = None
    threads: int | None = None

    def to_json(self) -> dict[str, float | int | None]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class VitalsReader:
    """Read the vitals of this process and its device, from one thread at a time.

    Args:
        folders: whose disks are watched; of one that is not there yet the disk on which it will be. The working
            directory, unless given.
        thermal_dir: where the kernel lists its thermal zones.

    Raises:
        MissingExtra: psutil is not installed.
    """

    def __init__(self, *folders: str | Path, thermal_dir: Path = _THERMAL) -> None:
        self._folders = tuple(Path(folder) for folder in folders) or (Path(),)
        self._thermal_dir = thermal_dir
        # Loaded by the first reading, which is not what a start waits for.
        if importlib.util.find_spec("psutil") is None:
            raise MissingExtra("psutil", "agent")
        self._process: Any = None
        self._lock = threading.Lock()
        self._first = True

    def read(self) -> Vitals:
        """Return a reading of now."""
        import psutil

        with self._lock:
            self._process = self._process or psutil.Process()
            # psutil answers 0 for the first span, as it has none yet.
            cpu_percent = _readable(lambda: self._process.cpu_percent(None))
            system_percent = _readable(lambda: psutil.cpu_percent(None))
            if self._first:
                cpu_percent = system_percent = None
            self._first = False
        times = _readable(self._process.cpu_times)
        memory = _readable(psutil.virtual_memory)
        own = _readable(self._process.memory_info)
        free = [found for folder in self._folders if (found := _free_bytes(folder)) is not None]
        return Vitals(
            cpu_s=None if times is None else round(times.user + times.system, 3),
            cpu_percent=cpu_percent,
            system_cpu_percent=system_percent,
            rss_bytes=None if own is None else own.rss,
            memory_total_bytes=None if memory is None else memory.total,
            memory_available_bytes=None if memory is None else memory.available,
            temperature_c=self._temperature(),
            disk_free_bytes=min(free, default=None),
            fds=_readable(self._process.num_fds),
            fds_limit=_readable(lambda: self._process.rlimit(psutil.RLIMIT_NOFILE)[0]),
            threads=_readable(self._process.num_threads),
        )

    def _temperature(self) -> float | None:
        found = self._thermal_zones() or _sensors()
        return max(found, default=None)

    def _thermal_zones(self) -> list[float]:
        """Return the processor's zones where they are named, else all zones, in degrees Celsius."""
        processor: list[float] = []
        every: list[float] = []
        for zone in sorted(self._thermal_dir.glob("thermal_zone*")):
            try:
                value = int((zone / "temp").read_text()) / 1000
                kind = (zone / "type").read_text().lower()
            except (OSError, ValueError):
                continue
            if _plausible(value):
                every.append(value)
                if any(word in kind for word in _PROCESSOR_WORDS):
                    processor.append(value)
        return processor or every


def _sensors() -> list[float]:
    import psutil

    read = getattr(psutil, "sensors_temperatures", None)
    groups = (_readable(read) if read else None) or {}
    named = {name: [s.current for s in sensors if _plausible(s.current)] for name, sensors in groups.items()}
    processor = [
        v for name, values in named.items() if any(w in name.lower() for w in _PROCESSOR_WORDS) for v in values
    ]
    return processor or [v for values in named.values() for v in values]


def _free_bytes(folder: Path) -> int | None:
    import psutil

    # A folder that is made when it is needed lies on the disk of the one above it.
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    disk = _readable(lambda: psutil.disk_usage(str(there)))
    return None if disk is None else int(disk.free)


def _plausible(value: float) -> bool:
    return _PLAUSIBLE_C[0] < value < _PLAUSIBLE_C[1] and value != 0


def _readable(read: Callable[[], T]) -> T | None:
    import psutil

    try:
        return read()
    except (OSError, psutil.Error, NotImplementedError, ValueError):
        return None
