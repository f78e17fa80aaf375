"""What runs can be read no more: found out at a start that failed, and told to the launcher, which goes over to the other slot."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.launcher import SLOT_FILE, read_switch
from edgesdk_agent.update.orders import give_order
from edgesdk_agent.update.rules import Limits, Order
from edgesdk_agent.update.slots import Slots
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import BadBundle, BadHash, BundleError, InputError, NoSpace

log = logging.getLogger(__name__)

# What a system says of the disk itself. No rights, no memory, too many open files: that says nothing of the bundle.
_OF_THE_DISK = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ENODATA})


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
    bundle = Slots(found.root).bundle(found.slot)
    # Twice: what cannot be read once may be there again, and what is told costs the bundle.
    if not _damage(bundle) or not (why := _damage(bundle)):
        return False
    log.error("slot %s is damaged: %s", found.slot, why)
    try:
        give_order(found.root, Order("damaged", found.slot, switch.id, why), switch, Limits())
    except (NoSpace, InputError) as error:
        log.warning("update: %s", error.message)
    return True


def _damage(bundle: Path) -> str:
    """Return what is wrong with the content of a slot's bundle; nothing where it is whole, or cannot be asked for now."""
    try:
        open_bundle(bundle).close()
    except (BadHash, BadBundle) as error:
        cause = error.__cause__
        # Where its slot's own file is gone as well nothing is lost: the disk is not mounted.
        lost = isinstance(cause, FileNotFoundError) and (bundle.parent / SLOT_FILE).exists()
        if isinstance(cause, OSError) and not lost and cause.errno not in _OF_THE_DISK:
            log.warning("%s cannot be read, which says nothing of its content: %s", bundle, error.message)
            return ""
        return error.message
    except (BundleError, InputError) as error:
        log.warning("%s: %s", bundle, error.message)
    return ""
