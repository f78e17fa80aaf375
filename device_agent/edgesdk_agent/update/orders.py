"""What the agent asks of the launcher: one file, one writer, each order carried out once by its number."""

from __future__ import annotations

import json
from pathlib import Path

from edgesdk_agent.update.launcher import ORDER, Switch, read_json
from edgesdk_agent.update.rules import Limits, Order
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole


def give_order(root: Path, order: Order, switch: Switch, limits: Limits) -> None:
    """Ask the launcher, once: an order that waits already is not written again.

    Raises:
        NoSpace, InputError: the disk does not take it.
    """
    content = {
        "do": order.do, "slot": order.slot, "id": order.id, "why": order.why, "number": switch.order + 1,
        "most_starts": limits.trial_starts, "deadline_s": limits.trial_s, "hot": order.hot,
    }  # fmt: skip
    if read_json(root / ORDER) != content:
        write_whole(root / ORDER, json.dumps(content).encode(), OWNER_ONLY)
