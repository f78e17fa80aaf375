"""What a person can do with a roll-out that was halted: go on with a reason, end it, take it back; and what is wrong stays seen."""

from __future__ import annotations

import pytest

from edgesdk.fleet.rollout.engine import advance, may
from edgesdk.fleet.rollout.model import Failure, Rollout, Status, Step
from edgesdk.fleet.rollout.policy import OnBreach, Policy
from edgesdk_testkit.rollout_world import NEW, OLD, Way, World, fleet

POLICY = Policy(soak_s=200, reports=5, silent_after_s=600, baseline_s=600)
WHY = "the lamp over gate 3 was out"


def halted(policy: OnBreach) -> tuple[World, Rollout]:
    """Return a fleet of twenty of which the second wave did worse."""
    world = fleet([Way.GOOD] * 20)
    rules = POLICY.model_copy(update={"on_breach": policy})
    rollout = world.run(world.begun(rules), until=lambda now: now.wave == 1)
    for name, one in rollout.devices.items():
        if one.wave == 1:
            world.models[name].way = Way.WORSE
    return world, world.run(rollout, until=lambda now: now.status is Status.HALTED)


def at_rest(rollout: Rollout) -> bool:
    return rollout.status.ended or rollout.status is Status.HALTED


@pytest.mark.parametrize("policy", ["hold", "rollback-wave"])
def test_it_goes_on_with_a_reason_and_without_those_that_had_failed(policy: OnBreach) -> None:
    world, rollout = halted(policy)
    second = {name for name, one in rollout.devices.items() if one.wave == 1}
    assert may(rollout, "resume")
    rollout = world.turn(rollout, "resume", why=WHY)
    assert rollout.status is Status.RUNNING
    assert [action.why for action in world.actions if action.what == "resume"] == [WHY]
    last = world.run(rollout, until=at_rest)
    assert last.status is Status.DONE, last.why
    runs = {name: model.executing for name, model in world.models.items()}
    assert {runs[name] for name in second} == {NEW if policy == "hold" else OLD}
    assert {runs[name] for name in runs.keys() - second} == {NEW}
    # What they did stays on record.
    assert {last.devices[name].failure for name in second} == {Failure.WORSE}


@pytest.mark.parametrize("policy", ["hold", "rollback-wave"])
def test_without_a_reason_it_stays_as_it_is(policy: OnBreach) -> None:
    world, rollout = halted(policy)
    for _ in range(20):
        rollout = world.turn(rollout, "resume")
        world.tick(20)
    assert rollout.status is Status.HALTED


def test_a_word_that_was_to_end_a_pause_ends_no_halt_that_came_meanwhile() -> None:
    world, rollout = halted("hold")
    paused, _ = advance(rollout.but(status=Status.PAUSED), world.seen(rollout, "resume"), world.now)
    assert paused.status is Status.HALTED, "it goes on, is judged again, and halts"
    again, _ = advance(paused, world.seen(paused, "resume"), world.now)
    assert again.status is Status.HALTED


def test_whoever_fails_after_that_halts_it_again() -> None:
    world, rollout = halted("hold")
    for name, one in rollout.devices.items():
        if one.wave == 2:
            world.models[name].way = Way.FAILS
    last = world.run(world.turn(rollout, "resume", why=WHY), until=at_rest)
    assert (last.status, last.wave) == (Status.HALTED, 2)
    excused = {one.wave for one in last.devices.values() if one.excused_at is not None}
    assert excused == {1}
    last = world.run(world.turn(last, "resume", why=WHY), until=at_rest)
    assert last.status is Status.DONE


@pytest.mark.parametrize("policy", ["hold", "rollback-wave"])
@pytest.mark.parametrize(
    ("verb", "status", "first"), [("abort", Status.ABORTED, NEW), ("rollback", Status.ROLLED_BACK, OLD)]
)
def test_it_is_ended_or_taken_back(policy: OnBreach, verb: str, status: Status, first: str) -> None:
    world, rollout = halted(policy)
    last = world.run(world.turn(rollout, verb), until=lambda now: now.status.ended)  # type: ignore[arg-type]
    assert last.status is status
    runs = {
        wave: {world.models[n].executing for n, one in last.devices.items() if one.wave == wave} for wave in (0, 1, 2)
    }
    second = NEW if (policy, verb) == ("hold", "abort") else OLD
    # Who confirmed keeps it at an abort, those that did worse and were let be among them.
    assert runs == {0: {first}, 1: {second}, 2: {OLD}}


def test_where_the_first_one_failed_another_has_it_before_the_next_wave() -> None:
    world = fleet([Way.GOOD] * 300)
    rollout = world.begun(POLICY.model_copy(update={"on_breach": "rollback-wave"}))
    (first,) = (name for name, one in rollout.devices.items() if one.wave == 0)
    world.models[first].way = Way.FAILS
    rollout = world.run(rollout, until=lambda now: now.status is Status.HALTED)
    rollout = world.turn(rollout, "resume", why=WHY)
    assert len([one for one in rollout.devices.values() if one.step is Step.TOLD]) == 1
    rollout = world.run(rollout, until=lambda now: now.wave == 1)
    assert [one.failure for one in rollout.of_wave(0)].count(Failure.NONE) == 1
    assert world.run(rollout, until=at_rest).status is Status.DONE
    assert "cut into waves anew" in {action.what for action in world.actions}


def test_where_the_first_one_is_removed_another_has_it_before_the_next_wave() -> None:
    world = fleet([Way.SLOW] * 300)
    rollout = world.turn(world.begun(POLICY))
    world.removed |= {name for name, one in rollout.devices.items() if one.wave == 0}
    rollout = world.turn(world.turn(rollout))
    assert rollout.wave == 0
    assert len([one for one in rollout.devices.values() if one.step is Step.TOLD]) == 1


def test_a_paused_one_goes_on_without_a_word() -> None:
    world = fleet([Way.GOOD] * 5)
    rollout = world.turn(world.turn(world.begun(POLICY)), "pause")
    rollout = world.turn(rollout, "resume")
    assert rollout.status is Status.RUNNING
    assert all(one.excused_at is None for one in rollout.devices.values())
    assert world.run(rollout, until=at_rest).status is Status.DONE
    assert {one.step for one in world.run(rollout, until=at_rest).devices.values()} == {Step.CONFIRMED}
