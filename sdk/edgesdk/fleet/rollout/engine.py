"""The roll-out's rules, as one pure function: what is known, what was seen and the time go in; what is so now comes out.

    running ⇄ paused          running ─ wave passed ─▶ running, or awaiting approval ─▶ … ─▶ done
       └─ breach ─▶ rolling back ─▶ rolled back, or halted ─ a person ─▶ running, rolling back

It goes by levels and not by edges: asked again with the same, it changes nothing more. So whoever drives it may be killed
at any moment, and asks again with whatever is in the store and whatever devices say then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgesdk.fleet.rollout.canary import with_canary
from edgesdk.fleet.rollout.gate import is_mute, judged
from edgesdk.fleet.rollout.health import why_worse
from edgesdk.fleet.rollout.hearing import heard, recalled, told
from edgesdk.fleet.rollout.hours import is_open, room
from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Status, Step, wish_of
from edgesdk.fleet.rollout.seen import Member, Order, Report, Seen, Verb
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE, judged_shadow, members_of, silent_shadow, told_shadow
from edgesdk.fleet.rollout.waves import assigned, place_of, wave_of_late
from edgesdk_targets.messages.envelope import MAX_SEQ

_SILENT = frozenset({Step.TOLD, Step.UPDATING})
# Devices are back by then, after a service, a broker or a store was away. Their answers may be hours late, and came to nobody.
_LISTENED_S = 300.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happened, for the log and for whoever watches: devices are told by what `wish_of` says of them."""

    what: str
    nodes: tuple[str, ...] = ()
    why: str = ""


def advance(rollout: Rollout, seen: Seen, now: float) -> tuple[Rollout, list[Action]]:
    """Return the roll-out as it is now, and what happened.

    Args:
        now: seconds since 1970.
    """
    before = rollout
    rollout = _each(rollout, lambda one: _heard(one, rollout, seen, now))
    said = []
    for order in seen.orders:
        asked, rollout = rollout, _ordered(rollout, order, now)
        if order.why and rollout is not asked:
            said.append(Action(order.verb, why=order.why))
    if rollout.status.watched:
        rollout = _grouped(rollout, seen)
        rollout = _each(rollout, lambda one: _failing(one, rollout, seen, now))
        rollout = with_canary(_gated(with_canary(rollout, now), seen, now), now)
    if rollout.status is Status.RUNNING:
        rollout = _offered(rollout, seen, now)
    rollout = _each(rollout, lambda one: _unanswered(one, before.devices.get(one.node), rollout, seen, now))
    if rollout.status is Status.ROLLING_BACK:
        rollout = _all_back(rollout)
    rollout = _dated(before, rollout, now)
    return rollout, said + _actions(before, rollout)


def may(rollout: Rollout, verb: Verb) -> bool:
    """Tell whether an order means anything to a roll-out as it is."""
    status = rollout.status
    if verb == "pause":
        return status in {Status.RUNNING, Status.AWAITING}
    if verb == "resume":
        return status in {Status.PAUSED, Status.HALTED}
    if verb == "approve":
        return status is Status.AWAITING
    if verb == "abort":
        return status.watched or status is Status.HALTED
    going_back = status is Status.ROLLING_BACK and rollout.then is Status.ROLLED_BACK
    return not going_back and status is not Status.ROLLED_BACK


def _heard(device: Device, rollout: Rollout, seen: Seen, now: float) -> Device:
    report = seen.reports.get(device.node)
    if report is None:
        return device.but(step=Step.GONE) if device.step.counts else device
    wish, version = seen.told.get(device.node, ("", 0))
    if version and wish == wish_of(device) and version != device.told_version:
        device = device.but(told_version=version)
    return heard(device, report, rollout.digest, now)


def needs_reason(rollout: Rollout, verb: Verb) -> bool:
    """Tell whether an order counts only with a reason: who goes on after a halt answers for what had failed."""
    return verb == "resume" and rollout.status is Status.HALTED


def _ordered(rollout: Rollout, order: Order, now: float) -> Rollout:
    if not may(rollout, order.verb) or (needs_reason(rollout, order.verb) and not order.why):
        # Also one that was to end a pause, and comes after a halt.
        return rollout
    if order.verb == "pause":
        return rollout.but(status=Status.PAUSED, why="a person paused it")
    if order.verb == "resume":
        known = rollout if rollout.status is Status.PAUSED else _each(rollout, lambda one: _excused(one, now))
        return known.but(status=Status.RUNNING, why="")
    if order.verb == "approve":
        return rollout.but(status=Status.RUNNING, wave=rollout.wave + 1, wave_at=now, why="")
    if order.verb == "abort":
        # What was confirmed stays; whoever is on the way, or may still come, is called back.
        unsettled = _recalled(rollout, lambda one: one.step is not Step.CONFIRMED)
        return unsettled.but(status=Status.ROLLING_BACK, then=Status.ABORTED, why="a person aborted it")
    back = _recalled(rollout, lambda _one: True)
    return back.but(status=Status.ROLLING_BACK, then=Status.ROLLED_BACK, why=rollout.why or "a person rolled it back")


def _excused(device: Device, now: float) -> Device:
    left = device.failure is not Failure.NONE or device.step.recalled
    return device.but(excused_at=now) if left and device.excused_at is None else device


def _grouped(rollout: Rollout, seen: Seen) -> Rollout:
    """Let devices join and leave; whoever had its turn stays to the end, so that it can be called back."""
    if seen.members is None:
        return rollout
    fits = {one.node: one for one in seen.members}
    devices = {
        name: one.but(step=Step.GONE) if one.step is Step.WAITING and name not in fits else one
        for name, one in rollout.devices.items()
    }
    joined = {
        node: _joined(rollout, member)
        for node, member in fits.items()
        if node not in devices or devices[node].step is Step.GONE
    }
    if not any(one.step.counts for one in devices.values()):
        # Nobody is before them: of the first ones, one has it first, as at any beginning.
        first = [node for node, one in joined.items() if one.step.counts]
        for node, wave in assigned(rollout.key, first, rollout.policy.shares, rollout.policy.first).items():
            joined[node] = joined[node].but(wave=min(max(wave, rollout.wave), rollout.waves - 1))
    devices |= joined
    return rollout if devices == rollout.devices else rollout.but(devices=devices)


def _joined(rollout: Rollout, member: Member) -> Device:
    late = wave_of_late(rollout.key, member.node, rollout.policy.shares, rollout.waves)
    device = Device(member.node, max(late, rollout.wave))
    if member.unfit:
        return device.but(step=Step.UNFIT, why=member.unfit)
    return device.but(step=Step.ALREADY) if member.executing == rollout.digest else device


def _failing(device: Device, rollout: Rollout, seen: Seen, now: float) -> Device:
    """Count devices as failed that say nothing for too long, or do worse than before."""
    policy = rollout.policy
    heard_out = _is_heard_out(policy.silent_after_s, seen)
    late = device.told_at is not None and now - device.told_at >= policy.silent_after_s
    if device.step in _SILENT and late and heard_out:
        return device.but(step=Step.FAILED, failure=Failure.SILENT, why=_silence(device))
    if policy.shadow is not None and heard_out:
        device = silent_shadow(device, policy.shadow, policy.silent_after_s, now)
    if device.wave != rollout.wave:
        return device
    if is_mute(device, rollout, seen.health, now) and _is_heard_out(policy.soak_s + policy.silent_after_s, seen):
        return device.but(failure=Failure.SILENT, why="it has reported too little since")
    one = seen.health.get(device.node)
    if device.step is not Step.CONFIRMED or one is None or one.after.samples < policy.reports:
        return device
    if why := why_worse(one, seen.controls, policy.health):
        worse = device.but(failure=Failure.WORSE, why=why)
        return worse if policy.on_breach == "hold" else recalled(worse)
    # Its figures are well again, or came at last.
    return device if device.failure is Failure.NONE else device.but(failure=Failure.NONE, why="")


def _unanswered(device: Device, was: Device | None, rollout: Rollout, seen: Seen, now: float) -> Device:
    """Wait no longer for a device that was asked to go back and says nothing; what is wanted of it stays."""
    waited = rollout.policy.silent_after_s
    if device.step is not Step.LEAVING or device != was or now - device.changed_at < waited:
        return device
    if not _is_heard_out(waited, seen):
        return device
    if device.told_version:
        return device.but(step=Step.STAYS, why="it says nothing")
    # A broker that is away is waited for. A version that has no next one is for ever.
    report = seen.reports.get(device.node)
    spent = report is not None and report.answered >= MAX_SEQ
    return device.but(step=Step.STAYS, why="it could not be told") if spent else device


def _is_heard_out(silent_after_s: float, seen: Seen) -> bool:
    """Tell whether a silence is the device's: somebody has listened since it could be there."""
    return seen.listened_s >= min(silent_after_s, _LISTENED_S)


def _silence(device: Device) -> str:
    if not device.told_version:
        return "it could not be told"
    return f"nothing after {device.said!r}" if device.said else "it said nothing"


def _gated(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    in_shadow = rollout.wave == SHADOW_WAVE
    verdict = judged_shadow(rollout) if in_shadow else judged(rollout, seen.health, now)
    if verdict.breach:
        return _breached(rollout, verdict.breach)
    if rollout.status is not Status.RUNNING:
        return rollout
    if verdict.waits_for:
        return rollout.but(why=verdict.waits_for)
    if in_shadow:
        # What so few did not promote is let be, and halts no later wave.
        rollout = _each(rollout, lambda one: _excused(one, now))
    steps = Counter(one.step for one in rollout.devices.values())
    waiting = any(step.waits for step in steps)
    if not waiting and steps[Step.LEAVING]:
        # A roll-out that has ended asks nobody again.
        return rollout.but(why=f"{steps[Step.LEAVING]} {Step.LEAVING.value}")
    if rollout.policy.dynamic and not any(step.counts for step in steps):
        return rollout.but(why="waits for a device that fits")
    if not waiting:
        return rollout.but(status=Status.DONE, why="")
    if rollout.policy.approval:
        return rollout.but(
            status=Status.AWAITING, why=f"{'the shadow wave' if in_shadow else f'wave {rollout.wave + 1}'} has passed"
        )
    return rollout.but(wave=rollout.wave + 1, wave_at=now, why="")


def _breached(rollout: Rollout, why: str) -> Rollout:
    if rollout.policy.on_breach == "hold":
        return rollout.but(status=Status.HALTED, why=why)
    whole = rollout.policy.on_breach == "rollback-all"
    # In the shadow wave nobody has changed: whoever holds it staged lets it go.
    all_of_them = whole or rollout.wave == SHADOW_WAVE
    back = _recalled(rollout, lambda one: all_of_them or one.wave == rollout.wave)
    return back.but(status=Status.ROLLING_BACK, then=Status.ROLLED_BACK if whole else Status.HALTED, why=why)


def _offered(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    """Tell whose turn it is: this wave's and those who joined an earlier one, by their place."""
    policy = rollout.policy
    if not seen.offers or not is_open(policy.hours, policy.zone, now):
        return rollout
    in_shadow = rollout.wave == SHADOW_WAVE
    asked = members_of(rollout) if in_shadow else [one for one in rollout.devices.values() if one.wave <= rollout.wave]
    due = sorted(
        (one for one in asked if one.step is Step.WAITING or (one.step.waits and not in_shadow)),
        key=lambda one: (one.wave, place_of(rollout.key, one.node)),
    )
    if not due:
        return rollout
    at = [one.told_at for one in rollout.devices.values() if one.told_at is not None]
    most = room(policy.rate_per_min, at, now)
    turn = {one.node: _turn(one, seen.reports.get(one.node), rollout, now) for one in due[:most]}
    return rollout.but(devices={**rollout.devices, **turn}) if turn else rollout


def _turn(device: Device, report: Report | None, rollout: Rollout, now: float) -> Device:
    if rollout.wave != SHADOW_WAVE:
        return told(device, report, rollout.digest, now)
    return told_shadow(device, report.executing if report is not None else "", now)


def _all_back(rollout: Rollout) -> Rollout:
    """End the way back, once each device has answered; who cannot go is named, since it is not what was asked for."""
    steps = [one.step for one in rollout.devices.values()]
    if Step.LEAVING in steps:
        return rollout
    stay = steps.count(Step.STAYS)
    return rollout.but(status=rollout.then, why=rollout.why + (f"; {stay} cannot go back" if stay else ""))


def _recalled(rollout: Rollout, which: Callable[[Device], bool]) -> Rollout:
    return _each(rollout, lambda one: recalled(one) if which(one) else one)


def _each(rollout: Rollout, change: Callable[[Device], Device]) -> Rollout:
    changed = {name: new for name, one in rollout.devices.items() if (new := change(one)) is not one}
    return rollout.but(devices={**rollout.devices, **changed}) if changed else rollout


def _dated(before: Rollout, after: Rollout, now: float) -> Rollout:
    changed = {name: one.but(changed_at=now) for name, one in after.devices.items() if before.devices.get(name) != one}
    return after.but(devices={**after.devices, **changed}) if changed else after


def _actions(before: Rollout, after: Rollout) -> list[Action]:
    found = []
    if after.wave != before.wave:
        found.append(Action("wave", why=f"wave {after.wave + 1} of {after.waves}"))
    if after.status is not before.status:
        found.append(Action(after.status.value, why=after.why))
    changed = [(before.devices.get(name), one) for name, one in after.devices.items()]
    known = [(was, one) for was, one in changed if was is not None]
    if moved := tuple(one.node for was, one in known if was.step.counts and one.step.waits and one.wave != was.wave):
        found.append(Action("cut into waves anew", moved, "nobody runs the bundle: one device first"))
    if left := tuple(one.node for was, one in known if one.excused_at != was.excused_at):
        found.append(Action("counts no more", left))
    for step in (
        Step.SHADOWING,
        Step.SHADOWED,
        Step.TOLD,
        Step.CONFIRMED,
        Step.FAILED,
        Step.LEAVING,
        Step.RETURNED,
        Step.STAYS,
    ):
        nodes = _newly(step, changed)
        if nodes:
            found.append(Action(step.value, nodes))
    return found


def _newly(step: Step, changed: Iterable[tuple[Device | None, Device]]) -> tuple[str, ...]:
    return tuple(now.node for was, now in changed if now.step is step and (was is None or was.step is not step))
