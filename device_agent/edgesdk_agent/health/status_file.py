"""How the agent does, in a file that others on the device can read: written whole or not at all, into memory-backed space.

It lies in the service's runtime folder, else in the user's, else in a private folder of the temporary one, so that an SD
card is not written every few seconds.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import InputError

_NAME = "{device}.status.json"
_SERVICE_FOLDER = Path("/run/edgesdk")
_MOST_BYTES = 1 << 20


def status_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the status of this user's agents lies."""
    environment = os.environ if environment is None else environment
    if runtime := environment.get("RUNTIME_DIRECTORY"):
        return Path(runtime.split(":")[0])
    if user := environment.get("XDG_RUNTIME_DIR"):
        return Path(user) / "edgesdk"
    return Path(tempfile.gettempdir()) / f"edgesdk-{os.getuid()}"


def own_folder(folder: Path) -> Path:
    """Return a folder after making sure that it is there and this user's own.

    Raises:
        OSError: it is not.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        # In a temporary folder anybody may have put a link there first.
        raise PermissionError(f"{folder} is not this user's own folder")
    return folder


def write_status(folder: Path, device: str, status: Mapping[str, Any]) -> Path:
    """Put the status in place of the last one.

    Raises:
        OSError: it cannot be written, or the folder belongs to somebody else.
    """
    path = own_folder(folder) / _NAME.format(device=device)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(status, allow_nan=False), "utf-8")
    part.replace(path)
    return path


def find_status(device: str = "", environment: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the status of every agent that is found, or of the one that is named; each has `running` and `file` added.

    Raises:
        InputError: there is none.
    """
    folders = [status_folder(environment), _SERVICE_FOLDER]
    files = [
        path for folder in dict.fromkeys(folders) for path in sorted(folder.glob(_NAME.format(device=device or "*")))
    ]
    found = [status for path in files if (status := _read(path)) is not None]
    if not found:
        whom = f"of {device!r} " if device else ""
        where = " and ".join(map(str, dict.fromkeys(folders)))
        raise InputError(
            f"No status {whom}was found in {where}.", hint="Start the agent, as this user or as the service."
        )
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        status = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(status, dict):
        return None
    return {**status, "running": _runs(status.get("pid"), status.get("started_ticks")), "file": str(path)}


def _runs(pid: object, ticks: object) -> bool:
    """Say whether that very process lives; another one may have its number by now."""
    return isinstance(pid, int) and pid > 0 and ticks is not None and process_ticks(pid) == ticks


def process_ticks(pid: int) -> int | None:
    """Return when a process was started, clock ticks since the boot; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name is in brackets and may hold anything.
    return int(text.rpartition(")")[2].split()[19])
