"""The update's rules, as values: what is refused, what follows, and that the floor only rises by what proved itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk_agent.update import rules
from edgesdk_agent.update.launcher import Switch, Trial
from edgesdk_agent.update.record import Failure, Release, Step, UpdateRecord
from edgesdk_agent.update.rules import MOST_BOOTS, Limits, Moment, Order
from edgesdk_agent.update.trial_gate import Figures, GateLimits, judged
from edgesdk_targets.errors import Downgrade, EdgeError, InputError

NOW, LIMITS = Moment("boot", 100.0), Limits()


def release(number: int, version: int | None = None) -> Release:
    return Release(
        id=f"sha256:{number:064x}",
        name="cnn",
        version=f"1.0.{number if version is None else version}",
        number=number,
        size=9,
    )


RUNS = Switch("a", release(5).id)
IDLE = UpdateRecord(floor=5, confirmed=release(5), previous=release(4))


def at(step: Step, number: int = 6) -> UpdateRecord:
    record = rules.offered(IDLE, RUNS, release(number), NOW, LIMITS)
    for passed in (Step.DOWNLOADING, Step.VERIFIED):
        if record.step is not step:
            record = rules.passed(record, passed, NOW, LIMITS)
    if step is Step.TRIAL:
        record = rules.observed(record, on_trial(number), release(5), NOW, LIMITS)
    assert record.step is step
    return record


def on_trial(number: int = 6) -> Switch:
    return Switch("a", release(5).id, Trial("b", release(number).id, 1), order=1)


def ended(number: int, *, kept: bool, why: str = "") -> Switch:
    now = ("b", release(number).id) if kept else ("a", release(5).id)
    return Switch(*now, None, 2, release(number).id, kept=kept, why=why)


class TestWhatIsRefused:
    @pytest.mark.parametrize("number", [4, 5])
    def test_a_downgrade(self, number: int) -> None:
        other = release(number).model_copy(update={"id": f"sha256:{'f' * 64}"})
        with pytest.raises(Downgrade, match="confirmed 5"):
            rules.offered(IDLE, RUNS, other, NOW, LIMITS)

    def test_what_failed_here_until_its_content_changes(self) -> None:
        failed = rules.failed(at(Step.VERIFIED), "the golden set is not met", final=True)
        assert failed.step is Step.IDLE
        with pytest.raises(InputError, match=r"failed here \(verified\): the golden set"):
            rules.offered(failed, RUNS, release(6), NOW, LIMITS)
        changed = release(6).model_copy(update={"id": f"sha256:{'e' * 64}"})
        assert rules.offered(failed, RUNS, changed, NOW, LIMITS).step is Step.DOWNLOADING

    def test_what_only_did_not_come_is_taken_again(self) -> None:
        failed = rules.failed(at(Step.DOWNLOADING), "no network", final=False)
        assert rules.offered(failed, RUNS, release(6), NOW, LIMITS).step is Step.DOWNLOADING

    @pytest.mark.parametrize("step", [Step.DOWNLOADING, Step.VERIFIED, Step.STAGED, Step.TRIAL])
    def test_a_second_one_over_the_first(self, step: Step) -> None:
        with pytest.raises(InputError, match=r"1\.0\.6 is under way"):
            rules.offered(at(step), RUNS, release(7), NOW, LIMITS)
        assert rules.offered(at(step), RUNS, release(6), NOW, LIMITS) == at(step)

    def test_without_slots(self) -> None:
        with pytest.raises(InputError, match="no slots"):
            rules.offered(UpdateRecord(), Switch(), release(1), NOW, LIMITS)

    def test_what_runs_already_changes_nothing(self) -> None:
        assert rules.offered(IDLE, RUNS, release(5), NOW, LIMITS) == IDLE


class TestTheTrial:
    def test_is_ordered_watched_and_confirmed(self) -> None:
        staged = at(Step.STAGED)
        assert rules.order_for(staged, RUNS) == Order("try", "b", release(6).id)
        trial = at(Step.TRIAL)
        assert rules.order_for(trial, on_trial()) is None
        assert rules.order_for(trial, on_trial(), healthy=True) == Order("confirm", "b", release(6).id)
        done = rules.observed(trial, ended(6, kept=True), release(6), NOW, LIMITS)
        assert (done.step, done.floor, done.confirmed, done.previous) == (Step.CONFIRMED, 6, release(6), release(5))

    def test_that_somebody_ended_is_not_confirmed(self) -> None:
        aborted = at(Step.TRIAL).but(why="the line is needed")
        assert rules.order_for(aborted, on_trial(), healthy=True, unfit="slow") == Order(
            "give_up", "b", release(6).id, "the line is needed"
        )

    def test_does_not_raise_the_floor(self) -> None:
        assert at(Step.TRIAL).floor == 5

    def test_that_ended_badly_is_told_and_remembered(self) -> None:
        back = rules.observed(at(Step.TRIAL), ended(6, kept=False, why="hung"), release(5), NOW, LIMITS)
        assert (back.step, back.why, back.floor, back.confirmed) == (Step.ROLLED_BACK, "hung", 5, release(5))
        assert back.failed == (Failure(id=release(6).id, step=Step.TRIAL, why="hung"),)

    def test_that_began_and_ended_while_nobody_looked_is_seen_too(self) -> None:
        """The program on trial never came to look: the launcher alone knows."""
        back = rules.observed(at(Step.STAGED), ended(6, kept=False, why="no start"), release(5), NOW, LIMITS)
        assert back.step is Step.ROLLED_BACK
        assert back.failure_of(release(6).id) is not None

    def test_that_nobody_knows_is_given_up(self) -> None:
        assert rules.order_for(UpdateRecord(), on_trial()) == Order(
            "give_up", "b", release(6).id, "nobody knows of this trial"
        )

    def test_that_the_launcher_does_not_know_is_over(self) -> None:
        back = rules.observed(at(Step.TRIAL), RUNS, release(5), NOW, LIMITS)
        assert (back.step, back.failed) == (Step.ROLLED_BACK, ())

    def test_a_lost_record_learns_what_runs_from_the_slot(self) -> None:
        mended = rules.observed(UpdateRecord(), RUNS, release(5), NOW, LIMITS)
        assert (mended.confirmed, mended.floor, mended.previous) == (release(5), 5, None)


class TestTheWayBack:
    def test_leads_below_the_floor_to_what_was_there_and_leaves_the_floor(self) -> None:
        back = rules.return_asked(IDLE, RUNS, "worse at night", NOW, LIMITS)
        assert rules.order_for(back, RUNS) == Order("try", "b", release(4).id)
        done = rules.observed(back, ended(4, kept=True), release(4), NOW, LIMITS)
        assert (done.step, done.confirmed, done.floor) == (Step.CONFIRMED, release(4), 5)
        # What was left is not taken again, and not returned to.
        with pytest.raises(InputError, match="worse at night"):
            rules.return_asked(done, ended(4, kept=True), "again", NOW, LIMITS)

    def test_is_closed_once_the_other_slot_is_written(self) -> None:
        failed = rules.failed(at(Step.VERIFIED), "bad", final=True)
        with pytest.raises(InputError, match="no release before"):
            rules.return_asked(failed, RUNS, "", NOW, LIMITS)

    def test_is_closed_while_an_update_is_under_way(self) -> None:
        with pytest.raises(InputError, match="under way"):
            rules.return_asked(at(Step.DOWNLOADING), RUNS, "", NOW, LIMITS)


class TestADamagedSlot:
    OVER = Switch("b", release(4).id, order=3, why="slot a is damaged: x", damaged="a")

    def test_is_told_and_is_no_way_back(self) -> None:
        over = rules.observed(IDLE, self.OVER, release(4), NOW, LIMITS)
        assert (over.step, over.release, over.slot) == (Step.ROLLED_BACK, release(5), "a")
        assert (over.why, over.confirmed, over.previous, over.floor) == ("slot a is damaged: x", release(4), None, 5)
        assert over.failed == ()
        assert rules.observed(over, self.OVER, release(4), NOW, LIMITS) == over

    def test_takes_what_was_in_it_again_and_nothing_below(self) -> None:
        over = rules.observed(IDLE, self.OVER, release(4), NOW, LIMITS)
        assert rules.offered(over, self.OVER, release(5), NOW, LIMITS).slot == "a"
        with pytest.raises(Downgrade):
            rules.offered(over, self.OVER, release(3), NOW, LIMITS)

    @pytest.mark.parametrize("step", [Step.DOWNLOADING, Step.VERIFIED])
    def test_does_not_end_the_update_that_is_under_way(self, step: Step) -> None:
        over = rules.observed(at(step), self.OVER, release(4), NOW, LIMITS)
        assert (over.step, over.slot, over.release) == (step, "a", release(6))


class TestADamagedSlotBesideOneThatWasStaged:
    """What was never tried runs, as something must; it has shown nothing."""

    OVER = Switch("b", release(6).id, order=3, why="slot a is damaged: x", damaged="a")

    def test_raises_no_floor_and_is_said(self) -> None:
        over = rules.observed(at(Step.STAGED), self.OVER, release(6), NOW, LIMITS)
        assert (over.step, over.untried, over.floor) == (Step.IDLE, True, 5)
        assert (over.confirmed, over.previous) == (None, None)
        assert over.why == "slot a is damaged: x; what was staged runs untried"
        # Looked at again, and after a start of the agent.
        assert rules.observed(over, self.OVER, release(6), NOW, LIMITS) == over

    def test_takes_another_one_and_forgets_it_with_that(self) -> None:
        over = rules.observed(at(Step.STAGED), self.OVER, release(6), NOW, LIMITS)
        begun = rules.offered(over, self.OVER, release(5), NOW, LIMITS)
        assert (begun.step, begun.slot, begun.untried) == (Step.DOWNLOADING, "a", False)

    def test_so_it_is_not_on_the_way_back_to_what_was_confirmed_before(self) -> None:
        back = rules.return_asked(IDLE, RUNS, "worse at night", NOW, LIMITS)
        over = rules.observed(back, Switch("b", release(4).id, damaged="a"), release(4), NOW, LIMITS)
        assert (over.untried, over.confirmed) == (False, release(4))


class TestDeadlines:
    def test_run_by_the_systems_clock(self) -> None:
        record = at(Step.VERIFIED)
        assert rules.in_time(record, Moment("boot", 100 + 1799))[1] == ""
        assert "longer than 1800 s" in rules.in_time(record, Moment("boot", 100 + 1800))[1]

    def test_begin_anew_with_the_system_but_not_for_ever(self) -> None:
        record = at(Step.VERIFIED)
        for boot in range(MOST_BOOTS):
            record, late = rules.in_time(record, Moment(f"boot-{boot}", 5.0))
            assert late == ""
        assert f"{MOST_BOOTS} starts" in rules.in_time(record, Moment("one more", 5.0))[1]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "back", "pass", "fail", "try", "keep", "leave", "crash"]), st.integers(1, 9)
        )
    )
)
def test_whatever_happens_the_floor_never_falls_and_only_what_proved_itself_counts(
    events: list[tuple[str, int]],
) -> None:
    """Any order of offers, ends, and the launcher's doings; the record forgotten now and then."""
    record, switch, slots = IDLE, RUNS, {"a": release(5), "b": release(4)}
    proven = {5}
    for what, number in events:
        floor = record.floor
        try:
            record, switch = _happened(what, number, record, switch, slots, proven)
        except EdgeError:
            continue
        assert record.floor >= floor
        assert record.floor <= max(proven)
        assert record.confirmed is None or record.confirmed.number in proven | {4}
        assert len({failure.id for failure in record.failed}) == len(record.failed)


def _happened(
    what: str, number: int, record: UpdateRecord, switch: Switch, slots: dict[str, Release], proven: set[int]
) -> tuple[UpdateRecord, Switch]:
    if what == "offer":
        record = rules.offered(record, switch, release(number), NOW, LIMITS)
    elif what == "back":
        record = rules.return_asked(record, switch, "asked", NOW, LIMITS)
    elif what == "pass":
        if record.step is Step.VERIFIED and record.release is not None:
            slots[record.slot] = record.release
        record = rules.passed(record, record.step, NOW, LIMITS) if record.step in _PASSING else record
    elif what == "fail":
        record = rules.failed(record, "it failed", final=number > 4)
    elif what == "try" and (order := rules.order_for(record, switch)) is not None and order.do == "try":
        switch = Switch(switch.active, switch.id, Trial(order.slot, order.id, 1), switch.order + 1)
    elif what in {"keep", "leave"} and switch.trial is not None:
        trial = switch.trial
        kept = what == "keep"
        active = (trial.slot, trial.id) if kept else (switch.active, switch.id)
        switch = Switch(*active, None, switch.order + 1, trial.id, kept=kept, why="")
        if kept:
            proven.add(slots[trial.slot].number)
    return rules.observed(record, switch, slots[switch.active], NOW, LIMITS), switch


_PASSING = {Step.DOWNLOADING, Step.VERIFIED}


GOOD: dict[str, Any] = {
    "up_s": 61.0, "frames": {"gate": 100}, "age_p95_ms": {"gate": 40.0}, "before_p95_ms": {"gate": 35.0},
    "broker_reached": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "healthy", "says"),
    [
        ({}, True, ""),
        ({"broker_reached": None}, True, ""),
        ({"before_p95_ms": {}}, True, ""),
        ({"up_s": 30.0}, False, "30 s more"),
        ({"frames": {}}, False, "a camera"),
        ({"frames": {"gate": 100, "door": 3}}, False, "camera door: 3 of 30"),
        ({"age_p95_ms": {}}, False, "camera gate: no results of late"),
        ({"age_p95_ms": {"gate": 60.0}}, False, "60 ms old, 52 ms"),
        ({"before_p95_ms": {"gate": 200.0}, "age_p95_ms": {"gate": 190.0}}, True, ""),
        ({"before_p95_ms": {"gate": 200.0}, "age_p95_ms": {"gate": 210.0}}, False, "200 ms are allowed"),
        ({"before_p95_ms": {}, "age_p95_ms": {"gate": 110.0}}, False, "100 ms are allowed"),
        ({"age_p95_ms": {"gate": float("nan")}}, False, "ms old"),
        ({"broker_reached": False}, False, "the broker"),
    ],
)
def test_the_trials_gate(change: dict[str, Any], healthy: bool, says: str) -> None:
    verdict = judged(Figures(**{**GOOD, **change}), GateLimits(budget_ms=100.0))
    assert verdict.healthy is healthy
    assert says in verdict.waits_for
    assert not verdict.unfit
