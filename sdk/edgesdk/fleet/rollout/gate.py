"""May the next wave begin? Pure: a roll-out and the time go in; go on, wait, or halt comes out, with the reason.

A wave passes when each of its devices has come to an end, those that keep the bundle have soaked and reported enough, and
no more failed than the policy allows. It fails as soon as more have failed, whatever the others still do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgesdk.fleet.rollout.health import LEAST_CONTROLS, Compared
from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Step
from edgesdk.fleet.rollout.waves import place_of

_NAMED = 3
# A median of so many is steady, and ten thousand need not be read.
_CONTROLS = 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """breach: why it must halt. waits_for: why it cannot go on yet. Neither: the wave has passed."""

    breach: str = ""
    waits_for: str = ""


def judged(rollout: Rollout, health: Mapping[str, Compared], now: float) -> Verdict:
    """Return the verdict on the wave under way."""
    wave = rollout.of_wave(rollout.wave)
    so_far = [one for one in rollout.devices.values() if one.wave <= rollout.wave and one.step.counts]
    for devices, where in ((wave, f"wave {rollout.wave + 1}"), (so_far, "all waves so far")):
        counted = [one for one in devices if one.excused_at is None]
        failed = [one for one in counted if one.failure is not Failure.NONE]
        if len(failed) > allowed(len(counted), rollout.policy.success):
            return Verdict(breach=f"{len(failed)} of {len(counted)} devices failed in {where}: {named(failed)}")
    waiting = Counter(_waits_for(one, rollout, health, now) for one in wave)
    del waiting[""]
    return Verdict(waits_for=", ".join(f"{count} {why}" for why, count in waiting.most_common()))


def judged_now(rollout: Rollout) -> list[Device]:
    """Return the devices whose figures are compared: those of the wave under way that keep the bundle.

    An earlier wave's are not: their own time before is long ago, and this bundle's faults show in this wave as well.
    """
    return [
        one
        for one in rollout.of_wave(rollout.wave)
        if one.step is Step.CONFIRMED and one.confirmed_at is not None and one.excused_at is None
    ]


def controls_of(rollout: Rollout) -> list[Device]:
    """Return the devices that tell what changed for everybody since the wave began: some that were not touched.

    In the last wave there are none any more; then it is those that were through before it began.
    """
    untouched = [one for one in rollout.devices.values() if one.step is Step.WAITING and one.wave > rollout.wave]
    if len(untouched) < LEAST_CONTROLS:
        through = [one for one in rollout.devices.values() if one.wave < rollout.wave and one.step is Step.CONFIRMED]
        untouched = [one for one in through if one.failure is Failure.NONE]
    return sorted(untouched, key=lambda one: place_of(rollout.key, one.node), reverse=True)[:_CONTROLS]


def allowed(devices: int, success: float) -> int:
    """Return how many of so many may fail."""
    return math.floor((1 - success) * devices + 1e-9)


def is_mute(device: Device, rollout: Rollout, health: Mapping[str, Compared], now: float) -> bool:
    """Tell whether a device keeps the bundle and has said too little since, for too long, to be judged."""
    if device.step is not Step.CONFIRMED or device.confirmed_at is None:
        return False
    policy = rollout.policy
    late = now - device.confirmed_at >= policy.soak_s + policy.silent_after_s
    # Of one that was not looked at nobody knows: who drives this may have been away since it was told.
    return late and device.node in health and not _has_reported(device, rollout, health)


def _waits_for(device: Device, rollout: Rollout, health: Mapping[str, Compared], now: float) -> str:
    if device.failure is not Failure.NONE or device.excused_at is not None:
        return ""
    if device.step is not Step.CONFIRMED or device.confirmed_at is None:
        return {Step.WAITING: "wait for their turn", Step.TOLD: "are told"}.get(device.step, device.step.value)
    if now - device.confirmed_at < rollout.policy.soak_s:
        return "soak"
    return "" if _has_reported(device, rollout, health) else "have reported too little"


def _has_reported(device: Device, rollout: Rollout, health: Mapping[str, Compared]) -> bool:
    one = health.get(device.node)
    return one is not None and one.after.samples >= rollout.policy.reports


def named(failed: Iterable[Device]) -> str:
    found = sorted(failed, key=lambda one: one.node)
    words = [f"{one.node} ({one.failure.value}{f': {one.why}' if one.why else ''})" for one in found[:_NAMED]]
    more = len(found) - _NAMED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
