"""Kill a device's update at every file operation, for real: a process of its own each time, ended by SIGKILL.

    python -m edgesdk_testkit.update_kills FOLDER EVERY

EVERY is 1 to kill at every operation, 5 at every fifth. Prints a JSON document for each way that an update can go: how many file
operations it has, how often it was killed, on how many of the disks that were left the device was unusable, and what it ran in
the end, by version. It forks, so it must be the only thread of its process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesdk_agent.update import launcher
from edgesdk_testkit.update_life import problems, without_syncs
from edgesdk_testkit.update_paths import PATHS, UpdatedDevice, UpdatePath, updated_device

_WATCHED = ("open", "write", "pread", "ftruncate", "fsync", "close", "replace", "rename", "unlink", "mkdir", "rmdir")


@dataclass
class Killed:
    """What became of one way: see above. `problems` says what was wrong, after which operation."""

    path: str
    operations: int
    kills: int = 0
    unusable: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def at_operation(
    number: int,
    act: Callable[[], None],
    *,
    names: Sequence[str] = _WATCHED,
    put: Callable[[object, str, object], None] = setattr,
) -> Callable[[], int]:
    """Do `act` before the file operation of this number (from 1; 0 for none); return what tells how many there were.

    Args:
        names: of the functions of `os` that count.
        put: sets them; as a test's monkeypatch does, it can be undone.
    """
    count = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return real(*given, **named)

        return instead

    for name in names:
        put(os, name, watched(getattr(os, name)))
    return lambda: count


def killed_everywhere(folder: Path, every: int, path: UpdatePath) -> Killed:
    """Kill one way at each operation, or at every so many, let the device live on, and return what was found."""
    folder.mkdir()
    device = replace(updated_device(folder), in_chunks=True)
    path.prepare(device)
    found = Killed(path.name, _operations(path, _copied(device, "whole")))
    for number in range(1, found.operations + 1, every):
        copied = _copied(device, str(number))
        assert _operations(path, copied, kill_at=number) == 0, "it was not killed"
        found.kills += 1
        wrong = problems(copied.root, copied.server) or _after(path, copied, found.ended)
        found.unusable += bool(wrong)
        found.problems += [f"{number}: {one}" for one in wrong]
        shutil.rmtree(copied.root)
    return found


def _copied(device: UpdatedDevice, name: str) -> UpdatedDevice:
    root = device.root.with_name(name)
    shutil.copytree(device.root, root)
    return replace(device, root=root)


def _operations(path: UpdatePath, device: UpdatedDevice, kill_at: int = 0) -> int:
    """Go the way in a child, killed before the operation of that number; return how many there were, 0 where it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        counted = at_operation(kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        path.go(device, lambda _promise: None)
        os.write(write, str(counted()).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as said:  # noqa: PTH123  (a handle, and no path)
        count = int(said.read() or 0)
    _, status = os.waitpid(child, 0)
    # A negative code is the signal that ended it.
    assert os.waitstatus_to_exitcode(status) == (0 if count else -signal.SIGKILL), status
    return count


def _after(path: UpdatePath, device: UpdatedDevice, ended: Counter[str]) -> list[str]:
    """Let a device that was killed go on with the system's next start; count what it comes to run, and return what is wrong."""
    switch = device.life(path.verdict, boot="after").live()
    held = launcher.read_json(device.root / "slots" / switch.active / launcher.SLOT_FILE)
    ended[str(held.get("version"))] += 1
    wrong = problems(device.root, device.server)
    return wrong if held.get("number") in path.ends else [*wrong, f"it ends with release {held.get('number')}"]


def main(folder: Path, every: int) -> int:
    """Kill all ways, and print; return 1 where a device was unusable."""
    # A killed process loses nothing that it wrote, synced or not: the system still has it.
    without_syncs()
    unusable = 0
    for number, path in enumerate(PATHS):
        found = killed_everywhere(folder / str(number), every, path)
        unusable += found.unusable
        print(json.dumps(found.__dict__), flush=True)
    return int(unusable > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
