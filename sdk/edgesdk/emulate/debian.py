"""Debian's arm64 Python on a foreign machine: fetched by apt with a state of its own, unpacked by dpkg.

Needs neither root, nor chroot, nor binfmt, and leaves the machine's own packages alone.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess
from pathlib import Path

from edgesdk_targets.errors import EdgeError, FetchFailed

PROGRAMS = {"qemu-aarch64-static": "qemu-user-static", "apt-get": "apt", "dpkg-deb": "dpkg"}


class MissingProgram(EdgeError):
    """A program of the operating system that has to be installed."""

    code = "missing_program"


def check_programs() -> None:
    """Raise MissingProgram unless everything that emulation needs is installed."""
    if missing := sorted({package for name, package in PROGRAMS.items() if shutil.which(name) is None}):
        raise MissingProgram(
            f"Emulation needs {', '.join(missing)}, which is not installed.",
            hint=f"sudo apt install {' '.join(missing)}",
        )


def unpack_python(tree: Path, version: str, *, sources: Path | None = None) -> None:
    """Put Debian's arm64 Python and the libraries that it and the runtimes need below `tree`.

    Args:
        version: e.g. `3.11`, which Debian 12 has.
        sources: an apt list in place of this machine's own.

    Raises:
        MissingProgram: a tool is not installed.
        FetchFailed: apt has no such Python for arm64.
    """
    check_programs()
    state = tree.parent / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    # Another architecture and no installed packages, so that apt names every library that is needed.
    options = [
        "-qq",
        *(f"-o{option}" for option in ("APT::Architecture=arm64", "APT::Architectures::=arm64", "Debug::NoLocking=1")),
        f"-oAPT::Sandbox::User={getpass.getuser()}",
        f"-oDir::State={state}",
        f"-oDir::State::status={state / 'status'}",
        f"-oDir::Cache={state}",
    ]
    if sources is not None:
        options += [f"-oDir::Etc::sourcelist={sources.resolve()}", "-oDir::Etc::sourceparts=-"]
    # A source without arm64 is no failure as long as another one has the packages.
    _apt(*options, "update")
    packages = (f"python{version}", f"python{version}-venv", "libstdc++6", "libgomp1")
    done = _apt(*options, "install", "--yes", "--download-only", "--no-install-recommends", *packages)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise FetchFailed(
            f"apt has no Python {version} for arm64: {lines[-1] if lines else done.stderr.strip()[-200:]}",
            hint="Debian 12 has Python 3.11; on another system name a list of Debian's sources (--apt-sources FILE).",
        )
    for package in sorted((state / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True, capture_output=True)
    shutil.rmtree(state)


def _apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False)
