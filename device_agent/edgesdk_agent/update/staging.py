"""Bring what came in into the slot that does not run, proven, and mark the slot as complete; all of it may be done again.

A bundle is moved in, and is run by the agent that runs now. Of a release of the agent an environment is built beside the
slots, and the slot gets a copy of the bundle that runs now: with that the new agent proves itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edgesdk_agent.update.environment.environments import Environments
from edgesdk_agent.update.launcher import Switch
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.slot_content import SlotContent
from edgesdk_agent.update.slots import Slots
from edgesdk_targets.agent_release.agent_release import open_release
from edgesdk_targets.errors import BundleError, EdgeError, InputError

# From a release of the agent to its environment in an empty folder, proven with a bundle; raises as `build_environment`.
Build = Callable[[Path, Path, Path], None]


class NotPromised(BundleError):
    """What came is not what was promised: that may be the fault of its way here, and is held against no release."""

    code = "not_promised"


class Staging:
    """What fills the other slot; used by one thread.

    Args:
        build: is given the release's file, the folder, and the bundle to prove it with; None where agents are not taken.
    """

    def __init__(self, slots: Slots, proof: Proof, build: Build | None) -> None:
        self._slots, self._proof, self._build = slots, proof, build
        self.environments = Environments(slots.root)

    def stage(self, slot: str, release: Release, switch: Switch) -> bool:
        """Fill a slot; return whether what was to come in is there. Where it is not, it must be fetched again.

        Raises:
            NotPromised: it is something else. BundleError: it does not do its work here.
            NoSpace, InputError: the disk is full, or refuses. DeviceError: this process ends.
            FetchFailed: the fleet's repository cannot be asked now.
        """
        if not self._slots.arrival(release).exists() and self._slots.held(slot) == release:
            return True
        runs = self._slots.content(switch.active)
        if release.kind == "agent":
            return self._stage_agent(slot, release, runs, switch)
        if not self._slots.move_in(slot, release, switch):
            return False
        bundle = self._slots.bundle(slot)
        # Again, since a cut of the power may lie between.
        self.check_promised(bundle, release)
        self._proof.fitness(bundle)
        agent, environment = (None, "") if runs is None else (runs.agent, runs.environment)
        self._slots.complete(slot, SlotContent.of(release, agent, environment), switch)
        return True

    def check_promised(self, file: Path, release: Release) -> None:
        """Check that a file is the release that was promised, signed and whole. Raises NotPromised, FetchFailed."""
        try:
            self._proof.identity(file, release)
        except BundleError as error:
            raise NotPromised(error.message, hint=error.hint) from error

    def _stage_agent(self, slot: str, release: Release, runs: SlotContent | None, switch: Switch) -> bool:
        arrival = self._slots.arrival(release)
        if not arrival.exists():
            return False
        if self._build is None or runs is None or runs.bundle is None:
            raise InputError("This device takes no other agent.", hint="Install it with its launcher.")
        self.check_promised(arrival, release)
        # What the other slot runs by goes first: there may be no room for a third environment.
        self._slots.give_up(slot, switch)
        self.forget_environments(switch)
        # Before anything is built, which takes minutes.
        self._slots.copy_in(slot, switch)
        self._check_copy(slot, runs.bundle)
        name = self.environments.begin(release)
        try:
            self._build(arrival, self.environments.place(name), self._slots.bundle(switch.active))
        except EdgeError:
            # Half of one is of no use, and on a full disk in everybody's way; but why it was not built is what counts.
            with suppress(EdgeError):
                self.forget_environments(switch)
            raise
        # The copy of the bundle with it.
        self.environments.make_lasting()
        self._slots.complete(slot, SlotContent.of(release, runs.bundle, name), switch)
        return True

    def _check_copy(self, slot: str, bundle: Release) -> None:
        """Check that a copy is the bundle that runs. Raises InputError: the disk gave something else.

        Whether somebody still trusts or releases that bundle is not asked: it runs, and a new agent does not change that.
        """
        try:
            with open_release(self._slots.bundle(slot), self._proof.limits) as copy:
                said = "" if copy.digest == bundle.id else f"it is {copy.digest[:19]}…"
        except BundleError as error:
            said = error.message
        if said:
            raise InputError(f"The bundle that runs could not be copied: {said}", hint="Check the disk.")

    def forget_environments(self, switch: Switch) -> None:
        """Remove what no complete slot runs by, once it is known what runs. Raises NoSpace, InputError."""
        kept = self._slots.environments()
        if kept is not None and self._slots.content(switch.active) is not None:
            # This process needs its own whatever the slots say.
            self.environments.forget(but=kept | {Path(sys.prefix).name})
