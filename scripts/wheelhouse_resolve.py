"""Find which wheels a machine other than this one needs, from pinned versions.

The pins say which version; the packages' own metadata say which packages, under the conditions of the target
machine. A package that is needed but not pinned, or a pin that another package does not accept, is an error here and
not a surprise on the device.
"""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from edgesdk_targets.errors import FetchFailed, InputError

OLDEST_GLIBC_MINOR = 17  # manylinux2014


@dataclass(frozen=True, slots=True)
class Locked:
    """One wheel of the lock file; `name` may carry extras."""

    name: str
    version: str
    sha256: str
    file: str

    def line(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


@dataclass(frozen=True, slots=True)
class Described:
    """What the index says of one package: which wheel fits, and what it requires."""

    locked: Locked
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WheelIndex:
    """pip's package index, as seen from another machine.

    Attributes:
        arch: `aarch64` or `x86_64`.
        python: e.g. `3.11`.
        glibc: the newest C library that a wheel may ask for, e.g. `2.36`.
    """

    arch: str
    python: str
    glibc: str

    def environment(self, extra: str = "") -> dict[str, str]:
        """Return the values by which dependency conditions are judged on that machine."""
        return {
            "extra": extra,
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.arch,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def describe(self, pinned: list[str]) -> list[Described]:
        """Ask the index for the metadata of `name==version` requirements.

        Raises:
            FetchFailed: one of them has no wheel for that machine, or the index cannot be reached.
        """
        # A dry run with --target may name another platform, and downloads metadata only where the index has it.
        report = self._pip(
            ["install", "--dry-run", "--ignore-installed", "--target", "unused", "--report", "-", "--no-deps", *pinned]
        )
        return [_described(entry) for entry in json.loads(report)["install"]]

    def download(self, lock: Path, folder: Path) -> None:
        """Download what the lock file names, checking its hashes.

        Raises:
            FetchFailed: a wheel cannot be had, or its content is not what the lock file says.
        """
        self._pip(["download", "--no-deps", "--require-hashes", "-r", str(lock), "--dest", str(folder)])

    def _pip(self, arguments: list[str]) -> str:
        command, *rest = arguments
        minor = int(self.glibc.split(".")[1])
        tags = [f"manylinux_2_{number}_{self.arch}" for number in range(minor, OLDEST_GLIBC_MINOR - 1, -1)]
        platforms = [f"--platform={tag}" for tag in (*tags, f"manylinux2014_{self.arch}")]
        machine = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}", *platforms]
        pip = [sys.executable, "-m", "pip", command, "--quiet", *machine, *rest]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            reasons = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise FetchFailed(
                f"pip could not get what Python {self.python} on {self.arch} with glibc {self.glibc} needs: "
                + (reasons[-1] if reasons else done.stderr.strip()[-300:]),
                hint="Check the network and the pins in requirements/device*.txt.",
            )
        return done.stdout


@dataclass(slots=True)
class _Found:
    described: Described
    extras: set[str] = field(default_factory=set)


def pins_from(path: Path, index: WheelIndex) -> dict[str, str]:
    """Read `name==version` lines, keeping those whose condition holds on the target machine.

    Raises:
        InputError: a line is not an exact pin.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise InputError(f"{path}:{number}: {text!r} is no requirement.", hint="Write name==version.") from error
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==":
            raise InputError(f"{path}:{number}: {text!r} is not pinned.", hint="Write name==version.")
        if requirement.marker is None or requirement.marker.evaluate(index.environment()):
            pins[canonicalize_name(requirement.name)] = specifiers[0].version
    return pins


def needed_glibc(files: Iterable[str]) -> str:
    """Return the oldest C library on which all these wheels load, by their file names."""
    needed = OLDEST_GLIBC_MINOR
    for file in files:
        minors = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", file)]
        if minors and "manylinux2014" not in file:
            # Several tags on one wheel are alternatives: the oldest one is what it needs.
            needed = max(needed, min(minors))
    return f"2.{needed}"


def read_requires(wheel: Path) -> tuple[str, ...]:
    """Return what a wheel's metadata says that it requires."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return tuple(str(value) for value in metadata.get_all("Requires-Dist", []))


def resolve(
    requires: tuple[str, ...], extras: tuple[str, ...], pins: dict[str, str], index: WheelIndex
) -> list[Locked]:
    """Return every wheel that these requirements come to on the index's machine, sorted by name.

    Raises:
        InputError: a needed package has no pin, or a pin contradicts a requirement.
        FetchFailed: the index has no fitting wheel.
    """
    found: dict[str, _Found] = {}
    wanted = _active(requires, extras, index, "edgesdk", pins)
    while wanted:
        new = sorted(name for name in wanted if name not in found)
        if new:
            for described in index.describe([f"{name}=={pins[name]}" for name in new]):
                found[canonicalize_name(described.locked.name)] = _Found(described)
        following: dict[str, set[str]] = {}
        for name, asked in wanted.items():
            package = found[name]
            if name in new or asked - package.extras:
                package.extras |= asked
                needs = _active(package.described.requires, tuple(package.extras), index, name, pins)
                for other, other_extras in needs.items():
                    following.setdefault(other, set()).update(other_extras)
        wanted = {name: asked for name, asked in following.items() if name not in found or asked - found[name].extras}
    return [found[name].described.locked for name in sorted(found)]


def _active(
    requires: tuple[str, ...], extras: tuple[str, ...], index: WheelIndex, owner: str, pins: dict[str, str]
) -> dict[str, set[str]]:
    """Return name and extras of the requirements that hold on the machine, having checked them against the pins."""
    active: dict[str, set[str]] = {}
    for text in requires:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate(index.environment(extra)) for extra in ("", *extras)):
            continue
        name = canonicalize_name(requirement.name)
        if name not in pins:
            raise InputError(
                f"{owner} needs {requirement.name} on Python {index.python}, which is not pinned.",
                hint="Add it to the device file in requirements/.",
            )
        if not requirement.specifier.contains(pins[name], prereleases=True):
            raise InputError(
                f"{owner} needs {requirement.name}{requirement.specifier}, but {pins[name]} is pinned.",
                hint="Correct the pin in the device file in requirements/.",
            )
        active.setdefault(name, set()).update(requirement.extras)
    return active


def _described(entry: dict[str, Any]) -> Described:
    metadata, download = entry["metadata"], entry["download_info"]
    digest = download.get("archive_info", {}).get("hashes", {}).get("sha256")
    if not digest:
        raise FetchFailed(f"The index gives no sha256 for {metadata['name']}.", hint="Use an index that does.")
    file = unquote(urlsplit(download["url"]).path.rpartition("/")[2])
    locked = Locked(metadata["name"], metadata["version"], digest, file)
    return Described(locked, tuple(metadata.get("requires_dist", ())))
