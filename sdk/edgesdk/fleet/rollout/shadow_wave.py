"""The shadow wave: before anybody changes, some devices let the bundle run beside what they run, and say what they saw. Pure.

It comes before the first wave and is numbered -1. Its devices are the first ones in the order of the waves; who promoted the
bundle keeps it staged, and has its turn with its own wave. What a device held or rejected counts as a failure.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgesdk.fleet.rollout.gate import Verdict, allowed, named
from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Step
from edgesdk.fleet.rollout.policy import ShadowRules
from edgesdk.fleet.rollout.seen import Report
from edgesdk.fleet.rollout.waves import place_of

SHADOW_WAVE = -1
_ENDED = frozenset({"idle", "rolled back"})


def members_of(rollout: Rollout) -> list[Device]:
    """Return the devices of the shadow wave; none where there is no such wave."""
    if rollout.policy.shadow is None:
        return []
    count = [one for one in rollout.devices.values() if one.step.counts]
    count.sort(key=lambda one: (one.wave, one.node != rollout.policy.first, place_of(rollout.key, one.node)))
    return count[: rollout.policy.shadow.devices]


def judged_shadow(rollout: Rollout) -> Verdict:
    """Return the verdict on the shadow wave."""
    members = members_of(rollout)
    failed = [one for one in members if one.failure is not Failure.NONE and one.excused_at is None]
    if len(failed) > allowed(len(members), rollout.policy.success):
        return Verdict(breach=f"{len(failed)} of {len(members)} devices did not promote it: {named(failed)}")
    waiting = Counter(
        one.step.value for one in members if one.failure is Failure.NONE and one.step in {Step.WAITING, Step.SHADOWING}
    )
    return Verdict(waits_for=", ".join(f"{count} {step}" for step, count in waiting.most_common()))


def heard_shadow(device: Device, report: Report) -> Device:
    """Return a device of the shadow wave as its last word shows it."""
    word = report.word
    if word is not None and word.step in _ENDED:
        return device.but(step=Step.FAILED, failure=Failure.FAILED, why=word.why or "it ended its shadow run")
    if word is not None and word.step == "refused":
        return device.but(step=Step.FAILED, failure=Failure.REJECTED, why=word.why)
    if report.refuses and device.told_version and report.answered >= device.told_version:
        return device.but(step=Step.FAILED, failure=Failure.REJECTED, why=report.refuses)
    if device.step is Step.SHADOWING and word is not None and word.shadow == "promote":
        return device.but(step=Step.SHADOWED, why=word.why)
    return device


def silent_shadow(device: Device, rules: ShadowRules, silent_after_s: float, now: float) -> Device:
    """Count a device as failed that says nothing of its shadow run for longer than that may take."""
    late = device.told_at is not None and now - device.told_at >= rules.lasts_s + silent_after_s
    if device.step is not Step.SHADOWING or not late:
        return device
    # Not as one that was silent in its wave, which may still come and would then change its model.
    return device.but(step=Step.FAILED, failure=Failure.FAILED, why="it said nothing of its shadow run")


def told_shadow(device: Device, executing: str, now: float) -> Device:
    """Return a device whose turn in the shadow wave it is."""
    return device.but(
        step=Step.SHADOWING, told_at=now, told_version=0, before=executing, failure=Failure.NONE, said="", why=""
    )


def plan_of(rules: ShadowRules) -> dict[str, Any]:
    """Return the shadow run as a device's desired state asks for it: it waits for its wave once it has promoted."""
    plan = {"lasts_s": rules.lasts_s, "least_s": min(300.0, rules.lasts_s / 4), "share": rules.share, "then": "wait"}
    return plan | {"slower": rules.slower} | ({} if rules.differ is None else {"differ": rules.differ})
