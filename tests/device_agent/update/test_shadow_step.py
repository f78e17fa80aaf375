"""A shadow run between staged and trial, as the update's rules and the updater have it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.update import rules
from edgesdk_agent.update.launcher import Switch, read_switch
from edgesdk_agent.update.record import RecordFile, Release, Step, UpdateRecord
from edgesdk_agent.update.rules import Limits, Moment, Order
from edgesdk_agent.update.wish import Wish
from edgesdk_testkit.update_device import Device, wait_for
from edgesdk_testkit.update_life import first_install, make

NOW, LIMITS = Moment("boot", 100.0), Limits()
PLAN = ShadowPlan(lasts_s=7200.0)


def release(number: int) -> Release:
    return Release(id=f"sha256:{number:064x}", name="cnn", version=f"1.0.{number}", number=number, size=9)


RUNS = Switch("a", release(5).id)
IDLE = UpdateRecord(floor=5, confirmed=release(5))


def staged(plan: ShadowPlan | None = PLAN) -> UpdateRecord:
    record = rules.offered(IDLE, RUNS, release(6), NOW, LIMITS, shadow=plan)
    for step in (Step.DOWNLOADING, Step.VERIFIED):
        record = rules.passed(record, step, NOW, LIMITS)
    return record


def said(verdict: Literal["promote", "hold", "reject"]) -> ShadowSummary:
    return ShadowSummary(verdict=verdict, reasons=() if verdict == "promote" else ("cups: its answers differ",))


def test_no_trial_before_it_is_promoted() -> None:
    assert rules.order_for(staged(None), RUNS) == Order("try", "b", release(6).id)
    record = staged()
    assert (record.step, rules.order_for(record, RUNS)) == (Step.STAGED, None)
    # Its time is the plan's, and not that of a launcher that does not answer.
    assert not rules.in_time(record, Moment("boot", 7000.0))[1]
    assert rules.in_time(record, Moment("boot", 9000.0))[1]
    on = rules.shadowed(record, said("promote"), NOW, LIMITS)
    assert rules.order_for(on, RUNS) == Order("try", "b", release(6).id)
    assert on.shadowed is not None


def test_offered_without_it_from_elsewhere_it_is_fetched_there() -> None:
    record = rules.offered(IDLE, RUNS, release(6), NOW, LIMITS, "https://away", shadow=PLAN)
    again = rules.offered(record, RUNS, release(6), NOW, LIMITS, "/stick")
    assert (again.step, again.shadow, again.address) == (Step.DOWNLOADING, None, "/stick")


def test_an_older_agent_reads_the_record_of_a_newer_one(tmp_path: Path) -> None:
    """It would forget which releases failed here, for one word of a plan that it does not know."""
    record = rules.failed(staged(), "it hangs", final=True).but(shadow=PLAN)
    text = record.model_dump_json(by_alias=True).replace('"lasts_s":7200.0,', '"lasts_s":7200.0,"newer":1,')
    assert "newer" in text
    (tmp_path / "update.json").write_text(text)
    assert (RecordFile(tmp_path).now, RecordFile(tmp_path).damage) == (record, "")
    with pytest.raises(ValueError, match="newer"):
        ShadowPlan.model_validate({"newer": 1})


@pytest.mark.parametrize("verdict", ["hold", "reject"])
def test_what_is_not_promoted_ends_and_nothing_is_held_against_it(verdict: Literal["hold", "reject"]) -> None:
    record = rules.shadowed(staged(), said(verdict), NOW, LIMITS)
    assert (record.step, record.failed) == (Step.IDLE, ())
    assert "cups: its answers differ" in record.why
    # Who has seen why may install it all the same.
    assert rules.offered(record, RUNS, release(6), NOW, LIMITS).step is Step.DOWNLOADING


def test_one_that_waits_goes_on_when_it_is_asked_for() -> None:
    plan = PLAN.model_copy(update={"then": "wait"})
    record = rules.shadowed(staged(plan), said("promote"), NOW, LIMITS)
    assert (record.step, rules.order_for(record, RUNS)) == (Step.STAGED, None)
    assert not rules.in_time(record, Moment("boot", 86400.0))[1]
    assert rules.offered(record, RUNS, release(6), NOW, LIMITS, shadow=plan) == record
    asked = rules.offered(record, RUNS, release(6), NOW, LIMITS)
    assert rules.order_for(asked, RUNS) == Order("try", "b", release(6).id)


def test_another_update_knows_nothing_of_it() -> None:
    record = rules.shadowed(staged(), said("reject"), NOW, LIMITS)
    fresh = rules.offered(record, RUNS, release(7), NOW, LIMITS)
    assert (fresh.shadow, fresh.shadowed) == (None, None)


def test_a_record_keeps_it_over_a_restart(tmp_path: Path) -> None:
    record = rules.shadowed(staged(), said("reject"), NOW, LIMITS)
    RecordFile(tmp_path).write(record)
    assert RecordFile(tmp_path).now == record


def test_an_agent_that_has_no_frames_holds_it_and_takes_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: asked for, staged, held, told as an event with its summary; the slot is empty afterwards."""
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.look", lambda _: None)
    monkeypatch.setattr("edgesdk_agent.update.proof.Proof.fitness", lambda *_: None)
    first_install(tmp_path / "update", make(tmp_path, 2))
    device = Device(tmp_path)
    agent = device.agent()
    try:
        wish = Wish(do="install", token="1" * 16, address=str(device.made(3).path), shadow=PLAN)
        assert device.asked(wish, lambda one: not one.waits).taken
        told = wait_for(
            lambda: [data for name, _, data in device.told if name == "update_step" and data["step"] == "idle"]
        )
        wait_for(lambda: not list((device.root / "slots" / "b").iterdir()))
    finally:
        agent.stop()
    assert told[0]["shadow"]["verdict"] == "hold"
    assert "nobody its frames" in told[0]["why"]
    switch = read_switch(device.root)
    assert (switch.active, switch.trial) == ("a", None)
