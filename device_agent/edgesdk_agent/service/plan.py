"""What installing and removing comes to: files to write and commands to run, as data, so that they can be shown first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.service.unit import LAUNCHER_PATH, UNIT_NAME, Service, sysusers_text, unit_text
from edgesdk_agent.update import launcher
from edgesdk_targets.errors import InputError

UNIT_PATH = Path("/etc/systemd/system") / UNIT_NAME
SYSUSERS_PATH = Path("/etc/sysusers.d/edgesdk.conf")
_GROUPS = ("video", "render", "input", "plugdev", "gpio")
_USER = re.compile(r"^[a-z][a-z0-9_-]{0,30}$")
_MEMORY = re.compile(r"^[0-9]+(\.[0-9]+)?[KMGT]?$|^[0-9]{1,2}%$")


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a file whole; `path` is within the root folder."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file or a folder with all that is in it, if it is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Command:
    """Run a program; `may_fail` where what it undoes may not be there."""

    words: tuple[str, ...]
    may_fail: bool = False


Action = WriteFile | Remove | Command


def install_plan(service: Service, root: Path, groups: Sequence[str], *, start: bool = True) -> list[Action]:
    """Return what is to be done to have the service.

    Args:
        root: the file system that is meant; `/` is this device's own, anything else is prepared and not started.
        groups: that exist there.

    Raises:
        InputError: a name, a path or a limit is not one that systemd takes.
    """
    _check(service)
    within = () if root == Path("/") else (f"--root={root}",)
    wanted = tuple(group for group in _GROUPS if group in groups)
    actions: list[Action] = [
        WriteFile(SYSUSERS_PATH, sysusers_text(service, wanted)),
        *([WriteFile(LAUNCHER_PATH, Path(launcher.__file__).read_text("utf-8"))] if service.launch else []),
        WriteFile(UNIT_PATH, unit_text(service)),
        Command(("systemd-sysusers", *within, str(SYSUSERS_PATH.name))),
    ]
    if not within:
        actions.append(Command(("systemctl", "daemon-reload")))
    actions.append(Command(("systemctl", *within, "enable", UNIT_NAME)))
    if start and not within:
        actions.append(Command(("systemctl", "restart", "--no-block", UNIT_NAME)))
    return actions


def uninstall_plan(root: Path, user: str, *, purge: bool) -> list[Action]:
    """Return what is to be done to be rid of it; its user stays, so that its number is not given to somebody else.

    Args:
        purge: its state and cache go as well, with what was not delivered yet.
    """
    if not _USER.match(user):
        raise InputError(f"{user!r} is no name of a system user.", hint="Such as edgesdk.")
    own = root == Path("/")
    actions: list[Action] = []
    if own:
        actions.append(Command(("systemctl", "disable", "--now", UNIT_NAME), may_fail=True))
    else:
        actions.append(Command(("systemctl", f"--root={root}", "disable", UNIT_NAME), may_fail=True))
    actions += [Remove(UNIT_PATH), Remove(SYSUSERS_PATH), Remove(LAUNCHER_PATH)]
    if own:
        actions.append(Command(("systemctl", "daemon-reload")))
    if purge:
        actions += [Remove(Path("/var/lib") / user), Remove(Path("/var/cache") / user)]
    return actions


def _check(service: Service) -> None:
    if not _USER.match(service.user) or service.user == "root":
        raise InputError(
            f"{service.user!r} cannot be the service's user.", hint="Small letters, digits, - and _, and not root."
        )
    if service.memory_max and not _MEMORY.match(service.memory_max):
        raise InputError(f"{service.memory_max!r} is no amount of memory.", hint="Such as 1G, 512M or 80%.")
    more = () if service.launch is None else (service.launch.python, service.launch.folder)
    for path in (service.executable, service.config, *more):
        if not path.is_absolute() or any(not c.isprintable() for c in str(path)):
            raise InputError(
                f"{str(path)!r} cannot stand in a unit.", hint="An absolute path without control characters."
            )
