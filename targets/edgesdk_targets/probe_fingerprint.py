"""What the answers of probes and of tuning depend on: files, runtimes as installed, Python, processor and driver.

Nothing of it needs the runtime to be imported, as that may be what fails.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from edgesdk_targets.nvidia_driver import nvidia_driver
from edgesdk_targets.session import RuntimeEntry

_CPU_FACTS = ("model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant", "CPU revision", "Model")


def fingerprint(digests: Mapping[str, str], description: Mapping[str, Any], entry: RuntimeEntry, threads: int) -> str:
    """Return a hash that changes when a probe might end otherwise.

    Args:
        digests: role → sha256 of the variant's files.
        description: the variant and its tensors, as JSON.
    """
    facts = {"files": dict(digests), "description": description, "threads": threads}
    return hash_of(facts | runtime_facts(entry) | machine_facts())


def hash_of(facts: Mapping[str, Any]) -> str:
    """Return the fingerprint of facts, which are JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def runtime_facts(entry: RuntimeEntry) -> dict[str, Any]:
    """Describe our code of a runtime, and the packages that it needs as they are installed."""
    return {
        "module": entry.module,
        "code": _stamp(entry.module),
        "packages": {name: _installed(name) for name in (*entry.packages, *entry.also)},
    }


def machine_facts() -> dict[str, Any]:
    """Describe this Python and this machine."""
    return {
        "python": sys.version,
        "machine": [platform.machine(), platform.release(), str(os.sysconf("SC_PAGE_SIZE"))],
        "cpu": _cpu(),
        "driver": nvidia_driver(),
    }


def _installed(package: str) -> list[str]:
    """Describe a package without importing it: names of its distributions, which hold versions, and its file's stamp."""
    spec = _spec(package)
    if spec is None:
        return []
    folders = [Path(place).parent for place in spec.submodule_search_locations or ()]
    distributions = {
        found.name for folder in folders for kind in ("dist", "egg") for found in folder.glob(f"{package}*.{kind}-info")
    }
    return [*sorted(distributions), _stamp(package)]


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # an import that was tried before, and failed
        return None


def _stamp(module: str) -> str:
    """Return a module's file with its size and time."""
    spec = _spec(module)
    if spec is None or spec.origin is None:
        return ""
    try:
        found = Path(spec.origin).stat()
    except OSError:
        return spec.origin
    return f"{spec.origin} {found.st_size} {found.st_mtime_ns}"


def _cpu() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    # Cores of one kind say the same; frequencies and serial numbers are left out.
    return sorted({line.strip() for line in lines if line.partition(":")[0].strip() in _CPU_FACTS})
