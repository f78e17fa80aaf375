"""The runtimes' aarch64 wheels, by the pins and hashes of `wheels.lock`, unpacked side by side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edgesdk_targets.errors import FetchFailed

LOCK = Path(__file__).with_name("wheels.lock")
PYTHON = "3.11"
# Raspberry Pi OS 12 has glibc 2.36; a wheel that asks for a newer one is not taken.
_GLIBC_MINORS = range(36, 16, -1)


def unpack_wheels(folder: Path) -> None:
    """Fetch every wheel of the lock file and unpack all into `folder`.

    Raises:
        FetchFailed: pip cannot get one, or its content is not what the lock file says.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=folder.parent) as downloads:
        platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in _GLIBC_MINORS]
        machine = [*platforms, "--platform=manylinux2014_aarch64", "--implementation=cp", f"--python-version={PYTHON}"]
        wanted = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(LOCK), "--dest", downloads]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *machine, *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")] or [done.stderr[-300:]]
            raise FetchFailed(
                f"pip could not get the board's wheels: {reasons[-1].removeprefix('ERROR: ')}",
                hint="Check the network, and that this Python has pip.",
            )
        for wheel in sorted(Path(downloads).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
