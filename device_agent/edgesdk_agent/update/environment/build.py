"""Build an environment of a release's wheels, with nothing but what is in it: no network, no settings of this machine.

    python -m venv PLACE
    PLACE/bin/python -m pip install --no-index --no-deps --require-hashes --find-links WHEELS -r LOCK

The lock names all that is needed, so pip resolves nothing. The processes are not ours: what they do wrong is held against
the release, but for a disk that was full.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

from edgesdk_agent.update.environment.children import EnvironmentFailed, run_child
from edgesdk_agent.update.proving_child import ChildLimits
from edgesdk_targets.agent_release.agent_release import AgentRelease
from edgesdk_targets.agent_release.manifest import LOCK
from edgesdk_targets.errors import NoSpace
from edgesdk_targets.whole_file import disk_errors, free_bytes_checked, write_all

# Of the unpacked wheels: what Python compiles of them, pip itself, and blocks that are not full.
_MORE = 1.6
_FULL_BYTES = 8 << 20
_WHEELS = ".wheels"


def build_environment(release: AgentRelease, place: Path, *, limits: ChildLimits, stopping: threading.Event) -> None:
    """Build a release's environment in a new folder.

    Args:
        stopping: ends it.

    Raises:
        EnvironmentFailed: the wheels do not come to an environment here.
        NoSpace, InputError: the disk is full, or refuses.
        DeviceError: it was stopped.
    """
    manifest = release.manifest
    wheels_bytes = sum(entry.size for entry in manifest.files.values())
    free_bytes_checked(place, wheels_bytes + int(manifest.installed_bytes * _MORE))
    wheels = place / _WHEELS
    with disk_errors(place):
        wheels.mkdir()
        for name in manifest.files:
            _write(wheels / Path(name).name, release.read(name))
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
    install = ["install", "--quiet", "--no-input", "--no-index", "--no-deps", "--require-hashes"]
    steps: dict[str, list[str | Path]] = {
        "environment": [sys.executable, "-I", "-m", "venv", *more, place],
        "installation": [*pip, *install, "--find-links", wheels, "-r", wheels / LOCK],
    }
    for what, words in steps.items():
        try:
            run_child(what, words, wheels, limits=limits, stopping=stopping)
        except EnvironmentFailed as error:
            if shutil.disk_usage(place).free < _FULL_BYTES or "No space left" in error.message:
                raise NoSpace(f"The disk became full while {place} was built.", hint="Free some space.") from error
            raise
    with disk_errors(place):
        shutil.rmtree(wheels)


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(handle, content)
    finally:
        os.close(handle)
