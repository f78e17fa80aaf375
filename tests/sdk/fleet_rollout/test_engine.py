"""Histories of whole fleets against a plain model of the verdict, and each rule of the engine by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesdk.fleet.rollout.engine import advance, may
from edgesdk.fleet.rollout.gate import allowed
from edgesdk.fleet.rollout.health import Figures
from edgesdk.fleet.rollout.hearing import heard
from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Status, Step, wish_of
from edgesdk.fleet.rollout.seen import Member, Report, Seen, Word
from edgesdk_targets.messages.envelope import MAX_SEQ
from edgesdk_testkit.rollout_histories import AT_REST, POLICY, check_histories
from edgesdk_testkit.rollout_world import NEW, OLD, Way, World, fleet


def ended(rollout: Rollout) -> bool:
    return rollout.status in AT_REST


def test_every_history_ends_as_the_plain_model_says() -> None:
    """`python benchmarks/rollouts.py --hypothesis 10000` makes as many."""
    ends = check_histories(150)
    assert ends.keys() == {"done", "rolled back"}
    assert ends.total() >= 150


def test_negative_control_an_engine_that_lets_one_more_fail_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesdk.fleet.rollout.gate.allowed", lambda devices, success: allowed(devices, success) + 1)
    with pytest.raises(AssertionError):
        check_histories(150, number=1, shrink=False)


def test_a_bundle_that_degrades_in_the_field_is_halted_at_the_first_waves_and_all_are_back() -> None:
    """Of a thousand, each does worse half a soak after it confirmed, which no golden set and no trial could see."""
    world = fleet([Way.WORSE] * 1000)
    for model in world.models.values():
        model.degrades_s = POLICY.soak_s / 2
    rollout = world.begun(POLICY)
    confirmed: list[float] = []

    def watched(now: Rollout) -> bool:
        if not confirmed and any(one.step is Step.CONFIRMED for one in now.devices.values()):
            confirmed.append(world.now)
        return now.status in (Status.ROLLING_BACK, Status.ROLLED_BACK)

    halted = world.run(rollout, until=watched, step_s=10)
    assert world.now - confirmed[0] - POLICY.soak_s / 2 <= 2 * POLICY.soak_s
    assert "frames a second 2" in halted.why
    last = world.run(halted, until=ended)
    touched = [name for name, model in world.models.items() if model.history != [OLD]]
    assert 1 <= len(touched) <= 10
    assert {model.executing for model in world.models.values()} == {OLD}
    assert last.status is Status.ROLLED_BACK


def test_without_the_gate_everybody_gets_it() -> None:
    """Negative control: it is the figures that stop it."""
    blind = POLICY.model_copy(update={"health": POLICY.health.model_copy(update=dict.fromkeys(("fps", "results"), 0))})
    world = fleet([Way.WORSE] * 30)
    last = world.run(world.begun(blind), until=ended)
    assert last.status is Status.DONE
    assert {model.executing for model in world.models.values()} == {NEW}


def test_healthy_fleets_are_not_halted() -> None:
    """Twenty fleets whose figures vary, under a scene that changes for all; the long run is benchmarks/rollouts.py."""
    halts = []
    for seed in range(20):
        world = fleet([Way.GOOD] * 40, seed, noise=0.1, scene=lambda at: 1.0 if int(at / 700) % 2 else 0.7)
        last = world.run(world.begun(POLICY, key=f"r{seed}"), until=ended)
        if last.status is not Status.DONE:
            halts.append(last.why)
    assert halts == []


@pytest.fixture
def world() -> World:
    return fleet([Way.GOOD] * 20)


def test_asking_again_with_the_same_changes_nothing(world: World) -> None:
    rollout = world.begun(POLICY)
    for _ in range(200):
        seen = world.seen(rollout)
        once, _actions = advance(rollout, seen, world.now)
        again, actions = advance(once, seen, world.now)
        # What is waited for is put into words before devices are told.
        assert again.but(why=once.why) == once
        assert actions == []
        if once.status is Status.DONE:
            return
        rollout = once
        world.reconcile(rollout)
        world.tick(20)
    raise AssertionError(rollout)


def test_approval_is_waited_for_before_each_further_wave(world: World) -> None:
    rollout = world.begun(POLICY.model_copy(update={"approval": True}))
    for wave in range(rollout.waves - 1):
        rollout = world.run(rollout, until=lambda now: now.status is Status.AWAITING)
        assert rollout.wave == wave
        touched = sum(one.touched for one in rollout.devices.values())
        for _ in range(50):
            world.tick(60)
            rollout = world.turn(rollout)
        assert sum(one.touched for one in rollout.devices.values()) == touched
        rollout = world.turn(rollout, "approve")
    assert world.run(rollout, until=ended).status is Status.DONE


def test_paused_nobody_more_is_told_and_what_does_worse_still_halts(world: World) -> None:
    rollout = world.turn(world.begun(POLICY))
    rollout = world.turn(rollout, "pause")
    canary = next(one.node for one in rollout.devices.values() if one.wave == 0)
    world.models[canary].way = Way.WORSE
    last = world.run(rollout, until=ended)
    assert last.status is Status.ROLLED_BACK
    assert sum(model.history != [OLD] for model in world.models.values()) == 1


def test_abort_calls_back_who_is_on_the_way_and_leaves_who_confirmed(world: World) -> None:
    rollout = world.run(world.begun(POLICY), until=lambda now: now.wave == 1)
    on_the_way = [name for name, one in rollout.devices.items() if one.step is Step.TOLD]
    assert on_the_way
    world.tick(20)
    last = world.run(world.turn(world.turn(rollout), "abort"), until=ended)
    assert last.status is Status.ABORTED
    assert {world.models[name].executing for name in on_the_way} == {OLD}
    kept = [one for one in last.devices.values() if one.step is Step.CONFIRMED]
    assert [one.wave for one in kept] == [0]


def test_one_click_takes_everybody_back_also_after_the_end(world: World) -> None:
    done = world.run(world.begun(POLICY), until=ended)
    assert done.status is Status.DONE
    assert may(done, "rollback")
    assert not may(done, "resume")
    last = world.run(world.turn(done, "rollback"), until=lambda now: now.status is Status.ROLLED_BACK)
    assert {one.step for one in last.devices.values()} == {Step.RETURNED}
    assert {model.executing for model in world.models.values()} == {OLD}


@pytest.mark.parametrize(("policy", "status"), [("hold", Status.HALTED), ("rollback-wave", Status.HALTED)])
def test_what_follows_a_halt_is_the_policys(policy: str, status: Status) -> None:
    world = fleet([Way.GOOD] * 20)
    rollout = world.run(world.begun(POLICY.model_copy(update={"on_breach": policy})), until=lambda now: now.wave == 1)
    for name, one in rollout.devices.items():
        if one.wave == 1:
            world.models[name].way = Way.WORSE
    last = world.run(rollout, until=ended)
    assert last.status is status
    runs = {wave: {world.models[n].executing for n, one in last.devices.items() if one.wave == wave} for wave in (0, 1)}
    assert runs == {0: {NEW}, 1: {NEW if policy == "hold" else OLD}}
    back = world.run(world.turn(last, "rollback"), until=lambda now: now.status is Status.ROLLED_BACK)
    assert {world.models[name].executing for name in back.devices} == {OLD}


def test_one_that_was_silent_and_comes_at_last_counts_again() -> None:
    world = fleet([Way.GOOD] * 20)
    rollout = world.run(world.begun(POLICY.model_copy(update={"success": 0.8})), until=lambda now: now.wave == 2)
    late = next(name for name, one in rollout.devices.items() if one.wave == 2)
    world.models[late].offline = True
    rollout = world.run(rollout, until=lambda now: now.devices[late].failure is Failure.SILENT)
    assert rollout.devices[late].why == "it said nothing"
    world.models[late].offline = False
    last = world.run(rollout, until=lambda now: now.devices[late].step is Step.CONFIRMED)
    assert last.devices[late].failure is Failure.NONE


def test_an_offline_device_holds_the_way_back_up_for_so_long_and_is_called_back_when_it_comes() -> None:
    world = fleet([Way.GOOD] * 5)
    rollout = world.run(world.begun(POLICY), until=ended)
    away = min(world.models)
    world.models[away].offline = True
    rollout, began = world.turn(rollout, "rollback"), world.now
    rollout = world.run(rollout, until=lambda now: now.devices[away].told_version > 1)
    while world.now - began < POLICY.silent_after_s - 40:
        world.tick(20)
        rollout = world.turn(rollout)
    assert rollout.status is Status.ROLLING_BACK
    assert {name for name, one in rollout.devices.items() if one.step is Step.LEAVING} == {away}
    last = world.run(rollout, until=ended)
    assert (last.status, last.devices[away].step) == (Status.ROLLED_BACK, Step.STAYS)
    assert "1 cannot go back" in last.why
    assert wish_of(last.devices[away]) == "leave"
    world.models[away].offline = False
    world.tick(20)
    assert world.models[away].executing == OLD, "the broker kept what is wanted of it"


def test_a_broker_that_is_away_is_waited_for_and_a_version_without_a_next_one_is_not() -> None:
    world = fleet([Way.GOOD] * 2)
    rollout = world.run(world.begun(POLICY), until=ended)
    for model in world.models.values():
        model.offline = True
    rollout, _ = advance(rollout, world.seen(rollout, "rollback"), world.now)
    world.models[spent := min(world.models)].answered = MAX_SEQ
    for _ in range(3):
        world.tick(2 * POLICY.silent_after_s)
        # What is wanted never comes to the broker.
        rollout, _ = advance(rollout, replace(world.seen(rollout), told={}), world.now)
    steps = {name: one.step for name, one in rollout.devices.items()}
    assert steps.pop(spent) is Step.STAYS
    assert set(steps.values()) == {Step.LEAVING}
    # And once the broker has it, the device has its time from then on.
    world.reconcile(rollout)
    assert Step.LEAVING in {one.step for one in world.turn(rollout).devices.values()}


def test_it_is_not_done_while_one_that_did_worse_is_on_its_way_back() -> None:
    world = fleet([Way.GOOD] * 20)
    rollout = world.run(world.begun(POLICY), until=lambda now: now.wave == now.waves - 1)
    worse = next(name for name, one in rollout.devices.items() if one.wave == rollout.wave)
    world.models[worse].way = Way.WORSE
    rollout = world.run(rollout, until=lambda now: now.devices[worse].step is Step.LEAVING)
    world.models[worse].offline = True
    for _ in range(int(POLICY.silent_after_s / 20) - 5):
        world.tick(20)
        rollout = world.turn(rollout)
    assert (rollout.status, rollout.why) == (Status.RUNNING, "1 going back")
    world.models[worse].offline = False
    last = world.run(rollout, until=ended)
    assert (last.status, last.devices[worse].step) == (Status.DONE, Step.RETURNED)


def test_what_a_device_says_wins_over_an_old_backup(world: World) -> None:
    """The store is that of the beginning; the fleet went on to the end meanwhile, on a broker that kept its word."""
    old = world.begun(POLICY)
    world.run(old, until=ended)
    told = dict(world.retained)
    last = world.run(old, until=ended)
    assert last.status is Status.DONE
    assert {one.step for one in last.devices.values()} == {Step.CONFIRMED}
    assert all(len(model.history) == 2 for model in world.models.values()), "nobody was updated twice"
    assert world.retained == told


def test_an_old_backup_from_before_a_roll_back_gets_nobody_to_take_it_again() -> None:
    world = fleet([Way.GOOD] * 5)
    old = world.turn(world.begun(POLICY))
    back = world.turn(world.run(old, until=ended), "rollback")
    world.run(back, until=ended)
    for model in world.models.values():
        # What a device left it does not take again; see the agent's rules.
        model.way, model.word, model.wanted = Way.REJECTS, None, ("", 0)
    last = world.run(old, until=ended)
    assert last.status is Status.ROLLED_BACK
    assert {model.executing for model in world.models.values()} == {OLD}


def test_an_old_backup_that_lost_the_last_words_goes_by_what_is_installed(world: World) -> None:
    """What a device said once, after the backup, comes from nobody again; what is installed it says on each connection."""
    rollout = world.turn(world.begun(POLICY))
    (name,) = (one.node for one in rollout.devices.values() if one.step is Step.TOLD)
    silent = {**world.seen(rollout).reports, name: Report(name, NEW, answered=1)}

    def looked(seen: Seen) -> Device:
        return advance(rollout, seen, world.now + 100 * POLICY.silent_after_s)[0].devices[name]

    said = replace(world.seen(rollout), reports=silent)
    # It runs it, and may be on trial.
    assert looked(replace(said, listened_s=10)).step is Step.UPDATING
    keeps = {**silent, name: replace(silent[name], keeps=True)}
    assert looked(replace(said, reports=keeps)).step is Step.CONFIRMED
    assert looked(said).failure is Failure.SILENT


def test_who_says_that_nothing_is_under_way_is_back_whatever_the_backup_heard_last() -> None:
    asked = Device("t.a", step=Step.LEAVING, told_at=1.0, told_version=3)
    heard_last = Report("t.a", OLD, Word("trial", 2.0), answered=3, under_way=True)
    assert heard(asked, heard_last, NEW, 3.0).step is Step.LEAVING
    assert heard(asked, replace(heard_last, settled=True), NEW, 3.0).step is Step.RETURNED
    # The release itself still runs.
    assert heard(asked, replace(heard_last, executing=NEW, settled=True), NEW, 3.0).step is Step.LEAVING


def test_nobody_is_silent_to_a_service_that_was_away(world: World) -> None:
    rollout = world.turn(world.begun(POLICY))
    later = world.now + 100 * POLICY.silent_after_s
    seen = world.seen(rollout)
    for listened_s, status in ((0.0, Status.RUNNING), (299.0, Status.RUNNING), (300.0, Status.ROLLING_BACK)):
        after, _ = advance(rollout, replace(seen, listened_s=listened_s), later)
        assert after.status is status, listened_s
        if status is Status.ROLLING_BACK:
            # Nor is it, when it is asked to go back.
            after = after.but(devices={n: one.but(told_version=3) for n, one in after.devices.items()})
            for heard_s, step in ((10.0, Step.LEAVING), (300.0, Step.STAYS)):
                last, _ = advance(after, replace(seen, listened_s=heard_s), later + 2 * POLICY.silent_after_s)
                assert step in {one.step for one in last.devices.values()}


def test_nor_is_one_that_confirmed_and_has_not_reported_enough_to_it(world: World) -> None:
    rollout = world.run(world.begun(POLICY), until=lambda now: any(one.confirmed_at for one in now.devices.values()))
    (name,) = (one.node for one in rollout.devices.values() if one.step is Step.CONFIRMED)
    seen = world.seen(rollout)
    few = replace(seen, health={name: replace(seen.health[name], after=Figures(samples=POLICY.reports - 1))})
    later = world.now + 100 * POLICY.silent_after_s
    for listened_s, failure in ((0.0, Failure.NONE), (299.0, Failure.NONE), (300.0, Failure.SILENT)):
        after, _ = advance(rollout, replace(few, listened_s=listened_s), later)
        assert after.devices[name].failure is failure, listened_s


def test_a_fixed_list_stays_and_an_open_one_follows_its_group(world: World) -> None:
    fixed = world.turn(world.begun(POLICY))
    everybody = [Member(name, OLD) for name in world.models]
    other = [*everybody[3:], Member("t.new", OLD), Member("t.odd", OLD, "the bundle has nothing for rpi5")]
    assert set(world.turn(fixed).devices) == set(world.models)
    open_ = fixed.but(policy=POLICY.model_copy(update={"dynamic": True}))
    seen = replace(world.seen(open_), members=other)
    after, _ = advance(open_, seen, world.now)
    told = {name for name, one in open_.devices.items() if one.touched}
    for one in everybody[:3]:
        left = after.devices[one.node]
        # Whoever had its turn stays, so that it can be called back.
        assert left.step is (Step.TOLD if one.node in told else Step.GONE)
        assert wish_of(left) == ("install" if one.node in told else "")
    assert (after.devices["t.new"].step, after.devices["t.odd"].step) == (Step.WAITING, Step.UNFIT)
    again, _ = advance(after, replace(seen, members=everybody), world.now)
    assert all(again.devices[one.node].step is not Step.GONE for one in everybody)


def test_a_device_that_is_removed_counts_no_more_and_holds_nothing_up(world: World) -> None:
    rollout = world.turn(world.begun(POLICY))
    canary = next(name for name, one in rollout.devices.items() if one.wave == 0)
    world.removed.add(canary)
    last = world.run(rollout, until=ended)
    assert last.status is Status.DONE
    assert last.devices[canary].step is Step.GONE


def test_hours_and_rate_hold_the_new_ones_and_never_who_goes_back() -> None:
    world = fleet([Way.GOOD] * 50)
    policy = POLICY.model_copy(update={"rate_per_min": 3, "hours": "22:00-05:00", "shares": (1.0,)})
    world.now = 1_700_000_000.0 - 1_700_000_000.0 % 86400 + 12 * 3600
    rollout = world.begun(policy)
    rollout = world.turn(rollout)
    assert not any(one.touched for one in rollout.devices.values())
    world.now += 10 * 3600
    told_at: list[float] = []
    for _ in range(1000):
        rollout = world.turn(rollout)
        told_at = sorted(one.told_at for one in rollout.devices.values() if one.told_at is not None)
        if len(told_at) == 50:
            break
        world.tick(10)
    assert all(later - earlier >= 60 for earlier, later in zip(told_at, told_at[3:], strict=False))
    world.now = world.now - world.now % 86400 + 12 * 3600 + 86400
    assert world.run(world.turn(rollout, "rollback"), until=ended).status is Status.ROLLED_BACK
