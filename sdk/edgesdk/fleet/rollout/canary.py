"""One device has the bundle before many do. Pure.

Waves are cut at the beginning, one device first. That one may leave, fail beside what it runs, or have failed when a person lets
the roll-out go on. A wave in which nobody could be told shows nothing, and after it many would have the bundle at once. So,
where nobody runs it or is on the way to it, those that still wait are cut anew: one of them, then more.
"""

from __future__ import annotations

from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Step
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE
from edgesdk.fleet.rollout.waves import assigned, place_of

_HAS_IT = frozenset({Step.TOLD, Step.UPDATING, Step.CONFIRMED})


def with_canary(rollout: Rollout, now: float) -> Rollout:
    """Return the roll-out with those that wait cut into waves anew, from the one under way on, where that is needed."""
    under_way = rollout.wave
    so_far = [one for one in rollout.devices.values() if one.wave <= under_way]
    if under_way == SHADOW_WAVE or any(one.step in _HAS_IT or _is_for_the_gate(one) for one in so_far):
        return rollout
    if sum(one.step.waits for one in so_far) == 1:
        return rollout
    waiting = {name: one for name, one in rollout.devices.items() if one.step.waits}
    if not waiting:
        return rollout
    cut = assigned(rollout.key, waiting, rollout.policy.shares, _first(rollout, waiting))
    devices = {
        # Who counts no more has no turn; so that the shadow wave's devices stay the first ones, none comes after these.
        name: one.but(wave=under_way + cut[name] if name in cut else min(one.wave, under_way))
        for name, one in rollout.devices.items()
        if name in cut or one.excused_at is not None
    }
    waves = under_way + 1 + max(cut.values())
    return rollout.but(devices={**rollout.devices, **devices}, waves=waves, wave_at=now)


def _is_for_the_gate(device: Device) -> bool:
    return device.step.counts and device.failure is not Failure.NONE and device.excused_at is None


def _first(rollout: Rollout, waiting: dict[str, Device]) -> str:
    """Return who has it first: whom the rules name, else who promoted it, else whom the hash says."""
    if rollout.policy.first in waiting:
        return rollout.policy.first
    promoted = [name for name, one in waiting.items() if one.step is Step.SHADOWED]
    return min(promoted, key=lambda name: place_of(rollout.key, name), default="")
