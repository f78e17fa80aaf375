"""What runs can be read no more: found out at a start that failed, and told to the launcher, which goes over to the other slot."""

from __future__ import annotations

import logging

from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.launcher import read_switch
from edgesdk_agent.update.orders import give_order
from edgesdk_agent.update.rules import Limits, Order
from edgesdk_agent.update.slots import Slots
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import BundleError, InputError, NoSpace

log = logging.getLogger(__name__)


def tell_damage() -> bool:
    """Read the bundle of the slot that this process runs, and tell the launcher where it is not whole; say whether it is not.

    On trial nothing is told: the launcher counts starts, and goes back by itself.
    """
    found = launched()
    if found is None:
        return False
    switch = read_switch(found.root)
    if switch.trial is not None or switch.active != found.slot:
        return False
    try:
        open_bundle(Slots(found.root).bundle(found.slot)).close()
        return False
    except (BundleError, InputError) as error:
        why = error.message
    log.error("slot %s is damaged: %s", found.slot, why)
    try:
        give_order(found.root, Order("damaged", found.slot, switch.id, why), switch, Limits())
    except (NoSpace, InputError) as error:
        log.warning("update: %s", error.message)
    return True
