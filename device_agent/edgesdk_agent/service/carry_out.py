"""Do what a plan says, within a root folder; or show it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from edgesdk_agent.service.plan import Action, Command, Remove, WriteFile
from edgesdk_targets.errors import DeviceError, InputError
from edgesdk_targets.whole_file import write_whole

_TIMEOUT_S = 60.0


def carry_out(actions: Iterable[Action], root: Path) -> list[str]:
    """Do each action and return in a line each what was done.

    Raises:
        DeviceError: this user may not, a program failed, or is not there.
    """
    return [_done(action, root) for action in actions]


def in_words(actions: Iterable[Action], root: Path) -> str:
    """Return the plan as it would be carried out: each file whole, each command as it is typed."""
    shown = []
    for action in actions:
        if isinstance(action, WriteFile):
            shown.append(f"# writes {_place(action.path, root)}\n{action.text.rstrip()}\n")
        elif isinstance(action, Remove):
            shown.append(f"# removes {_place(action.path, root)}")
        else:
            shown.append(" ".join(action.words))
    return "\n".join(shown)


def may_change(root: Path) -> bool:
    """Say whether this user may change that file system."""
    return root != Path("/") or os.geteuid() == 0


def _place(path: Path, root: Path) -> Path:
    return root / path.relative_to("/")


def _done(action: Action, root: Path) -> str:
    try:
        if isinstance(action, WriteFile):
            place = _place(action.path, root)
            write_whole(place, action.text.encode())
            return f"wrote {place}"
        if isinstance(action, Remove):
            place = _place(action.path, root)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
            return f"removed {place}"
    except InputError as error:
        raise DeviceError(error.message, hint="Run it with sudo.") from error
    except OSError as error:
        raise DeviceError(f"{error.strerror}: {error.filename}", hint="Run it with sudo.") from error
    return _run(action)


def _run(command: Command) -> str:
    line = " ".join(command.words)
    program = shutil.which(command.words[0])
    if program is None:
        if command.may_fail:
            return f"left out {line}: there is no {command.words[0]} here"
        hint = "Without systemd, start `edgesdk-agent run` by this device's own means."
        raise DeviceError(f"There is no {command.words[0]} on this device.", hint=hint)
    done = subprocess.run(
        (program, *command.words[1:]), capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode and not command.may_fail:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise DeviceError(f"`{line}` failed: {said}", hint="`journalctl -xe` may say more.")
    return f"ran {line}"
