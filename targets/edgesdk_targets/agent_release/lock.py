"""The lock of a release: every wheel by name, version and sha256, and nothing else that pip could read out of such a file.

A requirements file may also hold options, addresses, folders and other files' names, and say in which alphabet it is
written. None of that is passed on: what was understood here is written anew, and that is what pip gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgesdk_targets.errors import BadBundle

_LINE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._,-]*\])?==([A-Za-z0-9.+!_-]+) --hash=sha256:([0-9a-f]{64})"
)
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Locked:
    """One wheel; sha256: of its file."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def read_lock(text: bytes) -> tuple[Locked, ...]:
    """Read a lock; empty lines and comments are passed over.

    Raises:
        BadBundle: a line is something else than one wheel and its hash.
    """
    lines = [line for line in text.decode("utf-8", "replace").split("\n") if line and not line.startswith("#")]
    found = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadBundle(
                f"The lock says {line[:_SHOWN]!r}, which is not one wheel by its hash.", hint="Make the release again."
            )
        found.append(Locked(*match.groups()))
    return tuple(found)


def check_wheels(locked: Iterable[Locked], wheels: Iterable[str]) -> None:
    """Check that a lock names exactly the wheels that a release brings.

    Args:
        wheels: their sha256.

    Raises:
        BadBundle: it names others, or one of them twice.
    """
    named = sorted(one.sha256 for one in locked)
    if named != sorted(wheels):
        raise BadBundle("The lock names other wheels than the release brings.", hint="Make the release again.")


def write_lock(locked: Iterable[Locked]) -> bytes:
    """Write a lock."""
    return "".join(f"{one}\n" for one in locked).encode()
