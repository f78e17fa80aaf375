"""Prove an environment before anything is switched: it is for this device, it loads, it is what it says, and it answers rightly."""

from __future__ import annotations

import platform
import sys
import threading
from pathlib import Path

from edgesdk_agent.update.environment.children import EnvironmentFailed, run_child
from edgesdk_agent.update.launcher import PROBE
from edgesdk_agent.update.proving_child import ChildLimits
from edgesdk_targets.agent_release.manifest import AgentManifest
from edgesdk_targets.errors import WrongTarget


def check_fits(manifest: AgentManifest) -> None:
    """Refuse a release whose wheels are for another machine.

    Raises:
        WrongTarget: they are; the message says for which.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    here = (python, platform.machine())
    if (manifest.python, manifest.arch) != here:
        raise WrongTarget(
            f"The release is for Python {manifest.python} on {manifest.arch}; here is {here[0]} on {here[1]}.",
            hint="Make one for this device: scripts/wheelhouse --target … --python …",
        )
    if _numbers(platform.libc_ver()[1]) < _numbers(manifest.glibc):
        raise WrongTarget(
            f"The release needs glibc {manifest.glibc}; here is {platform.libc_ver()[1] or 'another C library'}.",
            hint="Make one for this device's system.",
        )


def prove_environment(
    manifest: AgentManifest,
    place: Path,
    bundle: Path,
    *,
    target: str,
    variant: str,
    limits: ChildLimits,
    stopping: threading.Event,
) -> None:
    """Run what is in an environment: its modules, its version, and the golden set of the bundle that it will run.

    Args:
        target, variant: as they are configured, empty where not.

    Raises:
        EnvironmentFailed: one of them does not hold.
        DeviceError: it was stopped.
    """
    python: list[str | Path] = [place / "bin/python", "-I"]
    chosen = [word for flag, value in (("--target", target), ("--variant", variant)) if value for word in (flag, value)]

    def run(what: str, *words: str | Path) -> str:
        return run_child(what, words, place, limits=limits, stopping=stopping)

    # What the launcher asks again, should the program end badly one day.
    run("import", *python, place / PROBE)
    said = run("program", place / "bin/edgesdk-agent", "--version")
    if said.split()[-1:] != [manifest.version]:
        raise EnvironmentFailed(f"It says that it is {said[:80]!r}, and {manifest.version} was promised.")
    run("golden set", *python, "-m", "edgesdk_agent.main", "verify", bundle.absolute(), "--quiet", *chosen)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
