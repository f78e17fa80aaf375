"""What the engine is told: how devices are, what people want. Values only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgesdk.fleet.rollout.health import Compared

Verb = Literal["pause", "resume", "approve", "abort", "rollback"]
# A device's own words for an update under way; see the agent's `update_step`.
UNDER_WAY = frozenset({"downloading", "verified", "staged", "trial"})


@dataclass(frozen=True, slots=True)
class Order:
    """What a person wants of a roll-out; why: in that person's words."""

    verb: Verb
    why: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """What a device said last of this bundle.

    Attributes:
        shadow: the verdict of its shadow run, where it told of one.
        step: as the device names it; `refused` where it did not take the bundle, `stays` where it cannot leave it.
        at: when the fleet heard it, in seconds.
    """

    step: str
    at: float
    why: str = ""
    shadow: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How a device is, by its own reports.

    Attributes:
        executing: digest of the bundle that it runs; empty while it never said.
        word: None where it has said nothing of this bundle since it was told.
        under_way: whether an update of it has not ended, of whichever bundle: by its last word since then, or by what it says of
            itself on each connection.
        settled: it says of itself that none is under way, whatever word came last.
        keeps: it says of itself that the bundle is installed and its update over, whatever words of it are known.
        answered: the version of the desired state that it has answered last; refuses: why it refused the update in it.
    """

    node: str
    executing: str = ""
    word: Word | None = None
    answered: int = 0
    refuses: str = ""
    under_way: bool = False
    settled: bool = False
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A device that fits the selection now, for roll-outs that devices join; unfit: why the bundle is nothing for it."""

    node: str
    executing: str = ""
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is known at one moment.

    Attributes:
        reports: by device; of one that is not in it nothing is known any more (it was removed, or revoked).
        health: by device, of those of the wave under way that keep the bundle, as far as they were looked at by now.
        controls: the same of devices that were not touched, over the same time.
        members: of the selection; None where nobody joins or leaves.
        told: desired states that the broker has: what was asked for, and the version.
        orders: what people want, oldest first.
        offers: whether there is anything that devices could fetch; nobody more is told where there is not.
        listened_s: for how long somebody has listened: who says nothing to nobody is not silent.
    """

    reports: Mapping[str, Report] = field(default_factory=dict)
    health: Mapping[str, Compared] = field(default_factory=dict)
    controls: Sequence[Compared] = ()
    members: Sequence[Member] | None = None
    told: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    orders: Sequence[Order] = ()
    offers: bool = True
    listened_s: float = math.inf
