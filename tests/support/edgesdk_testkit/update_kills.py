"""Kill a device's update at every file operation, for real: a process of its own each time, ended by SIGKILL.

Run as a program with a folder, and where to kill: 1 at every operation, 5 at every fifth. Prints one JSON document. It forks,
so it must be the only thread of its process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesdk_agent.update import launcher
from edgesdk_testkit.update_life import BROKEN, HEALTHY, Life, first_install, make, make_agent, problems, without_syncs

_WATCHED = ("open", "write", "fsync", "replace", "unlink", "close")


def at_operation(number: int, act: Callable[[], None]) -> Callable[[], int]:
    """Do `act` before the file operation of this number (from 1); return what tells how many there were."""
    count = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return real(*given, **named)

        return instead

    for name in _WATCHED:
        setattr(os, name, watched(getattr(os, name)))
    return lambda: count


def killed_everywhere(folder: Path, every: int) -> dict[str, Any]:
    """Kill at each operation of an install, of a roll-back and of another agent's, live on, and return what was found."""
    old, now, new = (make(folder, number) for number in (1, 2, 3))
    agent = make_agent(folder, 3)
    server = {one.release.id: one for one in (old, now, new, agent)}
    first_install(folder / "template", now, old)
    # A killed process loses nothing that it wrote, synced or not: the system still has it.
    without_syncs()
    found: dict[str, Any] = {"kills": 0, "problems": [], "ended": {}}
    for offer, verdict in ((new, HEALTHY), (new, BROKEN), (agent, HEALTHY)):
        number, alive = 1 - every, False
        while not alive:
            number += every
            root = folder / f"{offer.release.kind}-{verdict.healthy}-{number}"
            shutil.copytree(folder / "template", root)
            alive = not _killed(number, Life(root, server, verdict), offer)
            found["kills"] += not alive
            wrong = problems(root, server)
            switch = Life(root, server, verdict, boot="after").live()
            wrong += problems(root, server)
            found["problems"] += [f"{number}: {one}" for one in wrong]
            version = launcher.read_json(root / "slots" / switch.active / launcher.SLOT_FILE)["version"]
            found["ended"][version] = found["ended"].get(version, 0) + 1
            shutil.rmtree(root)
    return found


def _killed(number: int, life: Life, new: Any) -> bool:
    """Live in a child until the operation of this number; tell whether there was one."""
    child = os.fork()
    if child == 0:
        at_operation(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        life.live(new)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, status
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    print(json.dumps(killed_everywhere(Path(sys.argv[1]), int(sys.argv[2]))))
