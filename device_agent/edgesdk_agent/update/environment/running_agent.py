"""Which release of the agent this process is: told by the environment that it really runs by, and not by what a slot promises."""

from __future__ import annotations

import sys
from pathlib import Path

from edgesdk_agent.update.environment.environments import Environments
from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.launcher import SLOTS
from edgesdk_agent.update.slots import Slots


def running_agent() -> str:
    """Return the digest of the release whose environment this process runs by; empty where it runs by none of a slot."""
    found = launched()
    if found is None:
        return ""
    here, slots, environments = Path(sys.prefix).resolve(), Slots(found.root), Environments(found.root)
    for slot in SLOTS:
        # Both: what was taken over lies in the other slot, and is run by the same environment.
        content = slots.content(slot)
        if content is None or content.agent is None:
            continue
        if environments.place(content.environment).resolve() == here:
            return content.agent.id
    return ""
