"""The agent's part in updates as a process of its own, on a folder that has its slots; prints what it tells, a line of JSON each.

Run as a program with a folder, an address and the file of whom to trust: it asks for what lies there, and ends when that has come
to an end.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.update import agent_update
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.signing.trusted_keys import parse_trusted_keys
from edgesdk_testkit.update_device import Device


class _Printed(list[Any]):
    def append(self, told: Any) -> None:
        super().append(told)
        print(json.dumps([round(time.time()), *told]), flush=True)


def main(folder: Path, address: str, authority: Path) -> None:
    agent_update.Backoff = lambda **_: Backoff(first_s=0.1, limit_s=0.3)  # type: ignore[assignment, misc]
    device = Device(folder, told=_Printed(), trusted=parse_trusted_keys((folder / "trusted.keys").read_text()))
    update = device.agent(started=False, ca=authority)
    update._clock_trusted = ClockTrust().now
    # It looks after no camera, which a trial is about.
    update._watch.look = lambda: None  # type: ignore[method-assign]
    WishFiles(device.root).ask(Wish(do="install", token="1" * 16, address=address))
    update.start()
    while not device.told or device.told[-1][2].get("step") != "idle":
        time.sleep(0.05)
    update.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
