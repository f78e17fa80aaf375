"""Build an environment of a release's wheels, with nothing but what is in it: no network, no settings of this machine.

    python -m venv PLACE
    PLACE/bin/python -m pip install --no-index --no-deps --require-hashes --find-links WHEELS -r LOCK

The lock names all that is needed, so pip resolves nothing; it is written anew of what was understood of it. The
processes are not ours: what they do wrong is held against the release, but for what is this device's own: a disk that is
full or runs no programs, memory, a Python without `venv`.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

from edgesdk_agent.update.environment.children import EnvironmentFailed, run_child
from edgesdk_agent.update.launcher import PROBE
from edgesdk_agent.update.proving_child import ChildLimits
from edgesdk_targets.agent_release.agent_release import AgentRelease
from edgesdk_targets.agent_release.lock import check_wheels, read_lock, write_lock
from edgesdk_targets.agent_release.manifest import LOCK
from edgesdk_targets.errors import DeviceError
from edgesdk_targets.whole_file import disk_errors, free_bytes_checked, write_all

# Of the unpacked wheels: what Python compiles of them, pip itself, and blocks that are not full.
_MORE = 1.6
_HINT = "It takes Python's venv and ensurepip, as of the package python3-venv, and a disk that programs may run from."
_WHEELS = ".wheels"


def build_environment(release: AgentRelease, place: Path, *, limits: ChildLimits, stopping: threading.Event) -> None:
    """Build a release's environment in a new folder.

    Args:
        stopping: ends it.

    Raises:
        BadBundle: the lock names something else than the release's wheels by their hashes.
        EnvironmentFailed: the wheels do not come to an environment here.
        NoSpace, InputError: the disk is full, or refuses.
        DeviceError: it was stopped, or this device makes no environments.
    """
    manifest = release.manifest
    locked = read_lock(release.read(LOCK))
    check_wheels(locked, (entry.sha256 for name, entry in manifest.files.items() if name != LOCK))
    lock = write_lock(locked)
    wheels_bytes = sum(entry.size for entry in manifest.files.values())
    free_bytes_checked(place, wheels_bytes + int(manifest.installed_bytes * _MORE))
    wheels = place / _WHEELS
    with disk_errors(place):
        if os.statvfs(place).f_flag & os.ST_NOEXEC:
            raise DeviceError(f"No program may run from {place}.", hint=_HINT)
        wheels.mkdir()
        for name in manifest.files:
            _write(wheels / Path(name).name, lock if name == LOCK else release.read(name))
    more = ["--system-site-packages"] if manifest.system_site_packages else []
    pip: list[str | Path] = [
        place / "bin/python",
        "-I",
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    install = ["install", "--quiet", "--no-input", "--no-index", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    environment: list[str | Path] = [sys.executable, "-I", "-m", "venv", *more, place]
    installation = [*pip, *install, "--find-links", wheels, "-r", wheels / LOCK]
    try:
        run_child("environment", environment, wheels, limits=limits, stopping=stopping)
    except EnvironmentFailed as error:
        # Nothing of the release is in it yet.
        raise DeviceError(f"No environment can be made here: {error.message}", hint=_HINT) from error
    run_child("installation", installation, wheels, limits=limits, stopping=stopping)
    with disk_errors(place):
        _write(place / PROBE, f"import {', '.join(manifest.modules)}\n".encode())
        shutil.rmtree(wheels)


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(handle, content)
    finally:
        os.close(handle)
