"""The parts of a support bundle: versions, hardware, what each thread does, the log."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from edgesdk_agent.health.control_group import memory_limit_bytes
from edgesdk_agent.health.status_file import process_ticks
from edgesdk_agent.health.throttling import Throttling
from edgesdk_agent.service.unit import UNIT_NAME
from edgesdk_targets.errors import DeviceError

_PACKAGES = (
    "edgesdk", "numpy", "pydantic", "PyYAML", "opencv-python-headless", "opencv-python", "paho-mqtt", "psutil",
    "onnxruntime", "onnxruntime-gpu", "openvino", "ai-edge-litert", "tflite-runtime", "tensorrt",
)  # fmt: skip
_SECRET_NAME = re.compile(r"(?i)pass|secret|token|key|credential|auth")
_LOG_LINES = 5000
_LOG_BYTES = 4 << 20
_DUMP_WITHIN_S = 2.0


def about() -> dict[str, Any]:
    """Return the versions of what is installed, and of what runs it."""
    return {
        "python": sys.version,
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "boot_id": _read("/proc/sys/kernel/random/boot_id"),
        "uptime_s": _read("/proc/uptime").split(" ", maxsplit=1)[0],
    }


def hardware() -> dict[str, Any]:
    """Return what the device is, and how it is at this moment."""
    from edgesdk_agent.vitals import VitalsReader

    return {
        "model": _read("/proc/device-tree/model").strip("\0"),
        "processor": next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo", "model name")), ""),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory": dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines()[:5]),
        "memory_limit_bytes": memory_limit_bytes(),
        "vitals": VitalsReader().read().to_json(),
        "throttled": Throttling().now(),
        "cameras": sorted(str(path) for path in Path("/dev").glob("video*")),
        "accelerators": sorted(
            str(p) for name in ("dri/*", "nvidia*", "apex*", "hailo*") for p in Path("/dev").glob(name)
        ),
    }


def threads_of(statuses: Sequence[Mapping[str, Any]]) -> str:
    """Ask each agent that runs what its threads do, and return it."""
    running = [status for status in statuses if status.get("running") and status.get("threads_file")]
    if not running:
        raise DeviceError("No agent runs that could be asked.")
    return "\n".join(f"{status['device']}, process {status['pid']}\n{_dump(status)}" for status in running)


def _dump(status: Mapping[str, Any]) -> str:
    file, pid = Path(status["threads_file"]), int(status["pid"])
    before = file.stat().st_size
    if process_ticks(pid) != status.get("started_ticks"):
        # The number may belong to somebody else by now, whom the signal would end.
        raise DeviceError(f"The agent {pid} ended meanwhile.")
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + _DUMP_WITHIN_S
    size = before
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if size > before and file.stat().st_size == size:
            break
        size = file.stat().st_size
    with file.open("rb") as text:
        text.seek(before)
        return text.read(1 << 20).decode("utf-8", "replace")


def log_text(file: Path | None) -> str:
    """Return the end of the log: of a file, else of the service's journal."""
    if file is not None:
        with file.open("rb") as text:
            text.seek(max(0, file.stat().st_size - _LOG_BYTES))
            return text.read().decode("utf-8", "replace")
    program = shutil.which("journalctl")
    if program is None:
        raise DeviceError("There is no journal on this device; name a log file with --log.")
    words = (program, "-u", UNIT_NAME, "-n", str(_LOG_LINES), "-o", "short-iso", "--no-pager")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30.0)
    return done.stdout or done.stderr


def secrets_of_environment(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Return the values of variables whose names say that they are secret."""
    for name, value in (os.environ if environment is None else environment).items():
        if _SECRET_NAME.search(name) and value and not value.startswith("/"):
            yield value


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _lines(path: str, start: str) -> Iterator[str]:
    return (line for line in _read(path).splitlines() if line.lower().startswith(start))
