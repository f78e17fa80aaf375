"""A roll-out as a value: what is known of it and of each of its devices. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from edgesdk.fleet.rollout.policy import Policy


class Status(str, Enum):
    """Where a roll-out is. The last three are ends."""

    RUNNING = "running"
    PAUSED = "paused"
    AWAITING = "awaiting approval"
    HALTED = "halted"
    ROLLING_BACK = "rolling back"
    DONE = "done"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"

    @property
    def ended(self) -> bool:
        return self in {Status.DONE, Status.ROLLED_BACK, Status.ABORTED}

    @property
    def watched(self) -> bool:
        """Whether its devices are judged."""
        return self in {Status.RUNNING, Status.PAUSED, Status.AWAITING}


class Step(str, Enum):
    """Where a device is, as far as the fleet knows.

    `already`: it ran the bundle before. `unfit`: the bundle has nothing for it. `gone`: it left the group, or the fleet,
    before its turn. `stays`: it was asked to go back, and cannot. `shadow run`: it compares the bundle with what it runs;
    `promoted`: it did, and waits for its turn.
    """

    WAITING = "waiting"
    SHADOWING = "shadow run"
    SHADOWED = "promoted"
    TOLD = "told"
    UPDATING = "updating"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    LEAVING = "going back"
    RETURNED = "back"
    STAYS = "stays"
    ALREADY = "already"
    UNFIT = "unfit"
    GONE = "gone"

    @property
    def counts(self) -> bool:
        """Whether it is one of those that a wave is made of."""
        return self not in {Step.ALREADY, Step.UNFIT, Step.GONE}

    @property
    def waits(self) -> bool:
        """Whether its wave has not asked it yet."""
        return self in {Step.WAITING, Step.SHADOWED}

    @property
    def recalled(self) -> bool:
        """Whether it was asked to go back."""
        return self in {Step.LEAVING, Step.RETURNED, Step.STAYS}


# As the store names them: no wave is made of these, and another roll-out may have them.
UNCOUNTED = tuple(step.value for step in Step if not step.counts)


class Failure(str, Enum):
    """Why a device counts as one that failed: it said so, it refused, nothing came in time, or it does worse."""

    NONE = ""
    FAILED = "failed"
    REJECTED = "rejected"
    SILENT = "silent"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Device:
    """One device in a roll-out. Times are seconds since 1970.

    Attributes:
        wave: counted from 0.
        told_at: when it had its turn; confirmed_at: when it said that it keeps the bundle.
        told_version: of the desired state that says what is wanted now; 0 while the broker does not have it.
        before: digest of what it ran at its turn.
        said: its last word on this bundle; why: of its failure, or of what it cannot do.
        excused_at: when a person let the roll-out go on in spite of this device, or the shadow wave passed in which it
            failed: the gate counts it no more.
        changed_at: when anything of it changed last, which says for how long there is no answer.
    """

    node: str
    wave: int = 0
    step: Step = Step.WAITING
    failure: Failure = Failure.NONE
    told_at: float | None = None
    confirmed_at: float | None = None
    told_version: int = 0
    before: str = ""
    said: str = ""
    why: str = ""
    excused_at: float | None = None
    changed_at: float = field(default=0.0, compare=False)

    @property
    def touched(self) -> bool:
        """Whether the fleet asked anything of it, or found the bundle on it."""
        return self.step.counts and self.step is not Step.WAITING

    def but(self, **changes: object) -> Device:
        """Return it with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One roll-out.

    Attributes:
        key: its name in the store and in addresses; digest: of the bundle.
        wave: the one under way; wave_at: since when; waves: how many there are.
        why: of its status, in words.
        then: what it is once everybody who was asked to go back is back.
    """

    key: str
    digest: str
    policy: Policy
    status: Status = Status.RUNNING
    wave: int = 0
    waves: int = 1
    wave_at: float = 0.0
    why: str = ""
    then: Status = Status.ROLLED_BACK
    devices: Mapping[str, Device] = field(default_factory=dict)

    def but(self, **changes: object) -> Rollout:
        """Return it with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def of_wave(self, wave: int) -> list[Device]:
        """Return the devices that a wave is made of."""
        return [one for one in self.devices.values() if one.wave == wave and one.step.counts]


def wish_of(device: Device) -> str:
    """Return what is wanted of a device now: `install`, `shadow`, `leave`, or nothing."""
    if device.step in {Step.SHADOWING, Step.SHADOWED}:
        return "shadow"
    if device.step.recalled:
        return "leave"
    if device.step in {Step.TOLD, Step.UPDATING, Step.CONFIRMED}:
        return "install"
    # One that was silent may still come; what failed by its own word is not asked for again.
    return "install" if device.failure is Failure.SILENT else ""
