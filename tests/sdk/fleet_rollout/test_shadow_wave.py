"""The shadow wave: nobody changes before the devices in it have promoted the bundle; and what each is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from edgesdk.fleet.rollout.engine import advance
from edgesdk.fleet.rollout.model import Device, Rollout, Status, Step, wish_of
from edgesdk.fleet.rollout.policy import OnBreach, Policy, ShadowRules
from edgesdk.fleet.rollout.seen import Order, Report, Seen, Verb, Word
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE, members_of, plan_of
from edgesdk.fleet.rollout.waves import assigned
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_testkit.rollout_world import Way
from edgesdk_testkit.rollout_world import fleet as fleet_of

NEW, OLD = "sha256:" + "b" * 64, "sha256:" + "a" * 64
RULES = ShadowRules(devices=3, lasts_s=3600)
NODES = [f"local.d{number}" for number in range(8)]


@dataclass
class Fleet:
    """Eight devices, and what each said last."""

    policy: Policy = field(default_factory=lambda: Policy(shadow=RULES, silent_after_s=600))
    words: dict[str, Word] = field(default_factory=dict)
    executing: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, OLD))
    actions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    now: float = 1000.0

    def begun(self) -> Rollout:
        waves = assigned("r", NODES, self.policy.shares)
        devices = {node: Device(node, wave) for node, wave in waves.items()}
        return Rollout("r", NEW, self.policy, wave=SHADOW_WAVE, waves=1 + max(waves.values()), devices=devices)

    def turn(self, rollout: Rollout, *orders: Verb) -> Rollout:
        self.now += 10
        told = {name: (wish_of(one), 7) for name, one in rollout.devices.items() if wish_of(one)}
        reports = {
            node: Report(node, self.executing[node], self.words.get(node), answered=7, under_way=False)
            for node in NODES
        }
        seen = Seen(reports=reports, told=told, orders=[Order(verb) for verb in orders])
        after, actions = advance(rollout, seen, self.now)
        self.actions |= {one.what: one.nodes for one in actions}
        return after

    def say(self, rollout: Rollout, step: str, shadow: str = "", why: str = "") -> None:
        for one in members_of(rollout):
            self.words[one.node] = Word(step, self.now, why, shadow)


def steps(rollout: Rollout, step: Step) -> set[str]:
    return {name for name, one in rollout.devices.items() if one.step is step}


def test_only_its_devices_are_asked_and_for_a_shadow_run() -> None:
    fleet = Fleet()
    rollout = fleet.turn(fleet.begun())
    assert steps(rollout, Step.SHADOWING) == {one.node for one in members_of(rollout)}
    assert len(steps(rollout, Step.SHADOWING)) == 3
    assert {wish_of(one) for one in rollout.devices.values()} == {"shadow", ""}
    # As a device reads it.
    assert ShadowPlan.model_validate(plan_of(RULES)).then == "wait"
    fleet.say(rollout, "staged")
    again = fleet.turn(fleet.turn(rollout))
    assert (again.wave, steps(again, Step.SHADOWING)) == (SHADOW_WAVE, steps(rollout, Step.SHADOWING))
    assert "3 shadow run" in again.why


def test_what_all_promoted_has_its_turn_wave_by_wave_and_without_another_shadow_run() -> None:
    fleet = Fleet()
    rollout = fleet.turn(fleet.begun())
    fleet.say(rollout, "staged", "promote", "the shadow run promotes it: 300 frames")
    rollout = fleet.turn(fleet.turn(rollout))
    assert rollout.wave == 0
    (first,) = (one for one in rollout.devices.values() if one.wave == 0)
    assert wish_of(first) == "install"
    assert first.step in {Step.TOLD, Step.UPDATING}
    held = steps(rollout, Step.SHADOWED)
    assert len(held) == 2
    assert "promotes it" in rollout.devices[next(iter(held))].why


@pytest.mark.parametrize("word", ["reject", "hold"])
def test_what_one_does_not_promote_halts_it_and_nobody_has_changed(word: str) -> None:
    fleet = Fleet()
    rollout = fleet.turn(fleet.begun())
    fleet.say(rollout, "staged", "promote")
    one = members_of(rollout)[1].node
    fleet.words[one] = Word("idle", fleet.now, "7: its answers differ by 100 %", word)
    rollout = fleet.turn(rollout)
    assert rollout.status is Status.ROLLING_BACK
    assert "1 of 3 devices did not promote it" in rollout.why
    assert "its answers differ" in rollout.why
    # Whoever holds it staged lets it go.
    assert {wish_of(rollout.devices[node.node]) for node in members_of(rollout)} == {"leave"}
    fleet.say(rollout, "idle", why="the fleet takes it back")
    for _ in range(3):
        rollout = fleet.turn(rollout)
    assert rollout.status is Status.ROLLED_BACK
    assert set(fleet.executing.values()) == {OLD}


def test_of_many_a_few_may_fail() -> None:
    fleet = Fleet(Policy(shadow=RULES, silent_after_s=600, success=0.6))
    rollout = fleet.turn(fleet.begun())
    fleet.say(rollout, "staged", "promote")
    fleet.words[members_of(rollout)[2].node] = Word("idle", fleet.now, "a camera was away", "hold")
    rollout = fleet.turn(fleet.turn(rollout))
    assert (rollout.status, rollout.wave) == (Status.RUNNING, 0)


def test_who_says_nothing_for_longer_than_it_may_take_has_failed_and_is_not_asked_to_change() -> None:
    fleet = Fleet(Policy(shadow=RULES, silent_after_s=600, on_breach="hold"))
    rollout = fleet.turn(fleet.begun())
    fleet.now += RULES.lasts_s
    assert fleet.turn(rollout).status is Status.RUNNING
    fleet.now += 600
    rollout = fleet.turn(rollout)
    assert rollout.status is Status.HALTED
    assert "nothing of its shadow run" in rollout.why
    assert "install" not in {wish_of(one) for one in rollout.devices.values()}


def test_a_person_lets_the_first_wave_begin() -> None:
    fleet = Fleet(Policy(shadow=RULES, approval=True))
    rollout = fleet.turn(fleet.begun())
    fleet.say(rollout, "staged", "promote")
    rollout = fleet.turn(fleet.turn(rollout))
    assert (rollout.status, rollout.why) == (Status.AWAITING, "the shadow wave has passed")
    assert steps(rollout, Step.TOLD) == set()
    assert fleet.turn(rollout, "approve").wave == 0


def test_who_runs_it_already_needs_no_shadow_run() -> None:
    fleet = Fleet()
    rollout = fleet.turn(fleet.begun())
    other = members_of(rollout)[0].node
    fleet.executing[other] = NEW
    assert fleet.turn(rollout).devices[other].step is Step.CONFIRMED


def test_without_the_rule_there_is_none() -> None:
    fleet = Fleet(Policy())
    assert members_of(fleet.begun()) == []


def test_one_that_failed_and_was_allowed_to_halts_no_later_wave_and_the_first_that_promoted_comes_first() -> None:
    rules = Policy(shadow=ShadowRules(devices=5), silent_after_s=600, success=0.8)
    fleet = Fleet(rules)
    rollout = fleet.turn(fleet.begun())
    beside = [one.node for one in members_of(rollout)]
    fleet.say(rollout, "staged", "promote")
    fleet.words[beside[0]] = Word("idle", fleet.now, "a camera was away", "reject")
    rollout = fleet.turn(fleet.turn(rollout))
    assert (rollout.status, rollout.wave) == (Status.RUNNING, 0), rollout.why
    assert {name for name, one in rollout.devices.items() if one.excused_at is not None} == {beside[0]}
    assert fleet.actions["counts no more"] == (beside[0],)
    assert {name for name, one in rollout.devices.items() if wish_of(one) == "install"} == {beside[1]}
    # They stay the ones that the page tells of.
    assert [one.node for one in members_of(rollout)] == beside
    for _ in range(3):
        rollout = fleet.turn(rollout)
    assert (rollout.status, rollout.wave) == (Status.RUNNING, 0), rollout.why


@pytest.mark.parametrize("policy", ["hold", "rollback-wave"])
def test_who_goes_on_after_its_halt_lets_one_device_have_it_first(policy: OnBreach) -> None:
    """Of three hundred the first waves are those that failed beside what they run: nobody in them is left to be told."""
    world = fleet_of([Way.GOOD] * 300)
    beside = ShadowRules(devices=4, lasts_s=600)
    rules = Policy(soak_s=200, reports=5, silent_after_s=600, baseline_s=600, shadow=beside, on_breach=policy)
    rollout = world.turn(world.begun(rules).but(wave=SHADOW_WAVE))
    first = [one.node for one in members_of(rollout)]
    for node in first:
        world.models[node].say("idle", world.now, "its answers differ")
    rollout = world.run(rollout, until=lambda now: now.status is Status.HALTED)
    rollout = world.turn(rollout, "resume", why="the lamp was out")
    runs: list[int] = []
    for _ in range(100):
        rollout = world.turn(rollout)
        world.tick(20)
        told = sum(wish_of(one) == "install" for one in rollout.devices.values())
        runs += [told] if told and told not in runs else []
        if rollout.status is not Status.RUNNING:
            break
    assert rollout.status is Status.DONE, rollout.why
    assert runs == [1, 3, 30, 148, 296]
    assert [one.node for one in members_of(rollout)] == first
