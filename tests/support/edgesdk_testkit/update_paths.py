"""The ways that an update can go, each as a thing to be cut off: by a loss of power (`power_cuts`) or a kill (`update_kills`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.update import launcher
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_testkit.update_life import BROKEN, HEALTHY, Life, Made, first_install, make, make_agent

Told = Callable[[str], None]


@dataclass(frozen=True)
class UpdatedDevice:
    """A device that runs release 2 in slot a, with release 1 left over in slot b, and is offered release 3, or another agent.

    `in_chunks`: as of `Life`.
    """

    root: Path
    old: Made
    now: Made
    new: Made
    agent: Made
    in_chunks: bool = False

    @property
    def server(self) -> dict[str, Made]:
        return {one.release.id: one for one in (self.old, self.now, self.new, self.agent)}

    def life(self, verdict: Verdict = HEALTHY, told: Told = lambda _promise: None, boot: str = "boot-1") -> Life:
        return Life(self.root, self.server, verdict, told, boot=boot, in_chunks=self.in_chunks)


def updated_device(folder: Path) -> UpdatedDevice:
    """Make the releases in a folder, and the device in `update` below it."""
    old, now, new = (make(folder, number) for number in (1, 2, 3))
    first_install(folder / "update", now, old)
    return UpdatedDevice(folder / "update", old, now, new, make_agent(folder, 3))


@dataclass(frozen=True)
class UpdatePath:
    """One way that an update can go.

    Attributes:
        go: lets it go; the second argument is told of each promise.
        ends: the numbers of the releases that may run once a device that was cut off has come to rest.
        verdict: of the trial's gate, where it is cut off too.
        prepare: what is done to the device before.
    """

    name: str
    go: Callable[[UpdatedDevice, Told], object]
    ends: frozenset[int]
    verdict: Verdict = HEALTHY
    prepare: Callable[[UpdatedDevice], object] = lambda _: None


def _install(device: UpdatedDevice, told: Told) -> None:
    device.life(HEALTHY, told).live(device.new)


def _roll_back(device: UpdatedDevice, told: Told) -> None:
    device.life(BROKEN, told).live(device.new)


def _crash(device: UpdatedDevice, told: Told) -> None:
    life = device.life(HEALTHY, told)
    updater = life.updater()
    updater.offer(device.new.release)
    while updater.step():
        pass
    life.ordered()
    life.crash_until_back()


def _go_back(device: UpdatedDevice, told: Told) -> None:
    device.life(HEALTHY, told).live(back="worse at night")


def _prune(device: UpdatedDevice, told: Told) -> None:
    Slots(device.root).prune("b", launcher.read_switch(device.root))
    told("pruned")


def _upgrade(device: UpdatedDevice, told: Told) -> None:
    device.life(HEALTHY, told).live(device.agent)


def _upgrade_and_back(device: UpdatedDevice, told: Told) -> None:
    device.life(BROKEN, told).live(device.agent)


INSTALL = UpdatePath("install and confirm", _install, frozenset({2, 3}))
# Given up on trial; then what failed is removed.
ROLL_BACK = UpdatePath("roll-back", _roll_back, frozenset({2}), BROKEN)
# A program that never says anything: the launcher goes back alone.
CRASH = UpdatePath("roll-back by the launcher alone", _crash, frozenset({2, 3}))
# From what was confirmed to what the other slot still holds.
GO_BACK = UpdatePath("going back", _go_back, frozenset({2, 3}), prepare=lambda device: device.life().live(device.new))
PRUNE = UpdatePath("prune", _prune, frozenset({2}))
# An agent's environment is built, and removed where it fails.
UPGRADE = UpdatePath("another agent", _upgrade, frozenset({2, 3}))
UPGRADE_AND_BACK = UpdatePath("another agent, roll-back", _upgrade_and_back, frozenset({2}), BROKEN)
PATHS = (INSTALL, ROLL_BACK, CRASH, GO_BACK, PRUNE, UPGRADE, UPGRADE_AND_BACK)
