"""A bundle on trial is taken over by the program that runs, between two frames, as one that is set from afar.

The launcher counts that as a start before it is made. What does not come to an end here ends this program, and the launcher
makes the next start from the slot, so nothing is lost but frames; what crashes in here is the same.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.launcher import Switch
from edgesdk_agent.update.slot_content import SlotContent
from edgesdk_targets.child_watch import available_bytes
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HotSwap:
    """How this program takes over what another slot holds.

    Attributes:
        take_over: reads the configuration again, and returns once its bundle runs; raises EdgeError where it does not.
        digest: of the model that runs; memory: of this process, bytes.
    """

    take_over: Callable[[], None]
    digest: Callable[[], str]
    memory: Callable[[], int]

    def has_room(self) -> bool:
        """Say whether there is memory for a second model beside the one that runs: at most as much as all of this."""
        return available_bytes() > self.memory()

    @staticmethod
    def is_asked(launched: Launched, switch: Switch) -> bool:
        """Say whether this program is to take over what is on trial: the launcher has counted that as the first start."""
        trial = switch.trial
        return trial is not None and trial.hot and trial.starts == 1 and trial.slot != launched.slot

    def take(self, launched: Launched, slot: str, content: SlotContent | None) -> Launched | None:
        """Take over what a slot holds, and return which slot this program runs then; None where it ends instead."""
        bundle = None if content is None else content.bundle
        moved = launched.moved_to(slot)
        try:
            self.take_over()
        except EdgeError as error:
            log.warning("update: slot %s is not taken over: %s", slot, error.message)
        if bundle is not None and self.digest() == bundle.id:
            return moved
        log.warning("update: slot %s is started instead", slot)
        launched.moved_to(launched.slot)
        # An orderly end, after which the launcher counts and makes the next start.
        os.kill(os.getpid(), signal.SIGTERM)
        return None
