"""When an alert begins and ends: each rule of the state machine, and a model of it under random histories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.alerts.evaluation import WELL, AlertState, step
from edgesdk.fleet.alerts.rule import Rule, rule_from_json
from edgesdk_targets.errors import InputError

HOT = Rule(name="hot", kind="temperature_over", limit=80, clear=75, for_s=60, clear_for_s=120)


def play(rule: Rule, history: list[tuple[float, float | None]]) -> list[tuple[float, str]]:
    state, changes = WELL, []
    for now, value in history:
        state, change = step(rule, state, value, now)
        if change:
            changes.append((now, change))
    return changes


def test_a_limit_passed_for_long_enough_fires_once_and_clears_once() -> None:
    history = [(t, 85.0 if t < 300 else 70.0) for t in range(0, 900, 10)]
    assert play(HOT, history) == [(60, "fired"), (420, "cleared")]


def test_a_short_rise_says_nothing_and_each_rise_begins_anew() -> None:
    assert play(HOT, [(0, 85), (50, 85), (55, 79), (60, 85), (110, 85), (119, 85)]) == []


def test_reaching_the_limit_is_not_passing_it() -> None:
    assert play(HOT, [(t, 80.0) for t in range(0, 600, 10)]) == []


def test_between_limit_and_clear_an_alert_neither_begins_nor_ends() -> None:
    around = [(t, 85.0 if t % 20 else 77.0) for t in range(100, 2000, 10)]
    assert play(HOT, [(0, 85.0), (60, 85.0), *around]) == [(60, "fired")]
    # Negative control: without a band the same figures flap.
    flapping = HOT.model_copy(update={"clear": 80, "for_s": 0, "clear_for_s": 0})
    assert len(play(flapping, [(0, 85.0), (60, 85.0), *around])) > 50


def test_clearing_begins_anew_when_it_is_not_well_meanwhile() -> None:
    history = [(0, 90.0), (60, 90.0), (100, 70.0), (200, 76.0), (210, 70.0), (320, 70.0), (330, 70.0)]
    assert play(HOT, history) == [(60, "fired"), (330, "cleared")]


def test_silence_of_the_device_forgets_what_is_pending_and_ends_nothing() -> None:
    assert play(HOT, [(0, 85), (50, None), (60, 85), (119, 85)]) == []
    fired = [(0, 85.0), (60, 85.0)]
    assert play(HOT, [*fired, (100, 70.0), (150, None), (260, 70.0), (300, None), (1000, None)]) == [(60, "fired")]


def test_a_clock_set_back_counts_as_standing_still() -> None:
    state, _ = step(HOT, WELL, 85, 1000)
    state, change = step(HOT, state, 85, 10)
    assert change is None
    state, change = step(HOT, state, 85, 69)
    assert change is None
    assert step(HOT, state, 85, 70)[1] == "fired"


def test_low_frame_rates_are_bad_from_below() -> None:
    slow = Rule(name="slow", kind="fps_under", limit=0.5, for_s=0, clear_for_s=0)
    assert play(slow, [(0, 0.6), (1, 0.49), (2, 0.52), (3, 0.55)]) == [(1, "fired"), (3, "cleared")]


def test_time_offline_is_not_waited_for_twice() -> None:
    away = Rule(name="away", kind="offline_for", limit=300, for_s=60, clear_for_s=0)
    assert play(away, [(t, float(t)) for t in range(0, 400, 10)]) == [(310, "fired")]


def test_the_worst_figure_is_kept() -> None:
    state = AlertState()
    for now, value in [(0, 81.0), (60, 82.0), (70, 95.0), (80, 83.0)]:
        state, _ = step(HOT, state, value, now)
    assert (state.value, state.worst) == (83.0, 95.0)


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.none() | st.floats(60, 100)), max_size=60),
    st.floats(0, 200),
    st.floats(0, 200),
)
def test_changes_alternate_and_each_has_its_reason(
    deltas: list[tuple[float, float | None]], for_s: float, clear_for_s: float
) -> None:
    rule = HOT.model_copy(update={"for_s": for_s, "clear_for_s": clear_for_s})
    now, history = 0.0, []
    for delta, value in deltas:
        now += delta
        history.append((now, value))
    changes = play(rule, history)
    assert [kind for _, kind in changes] == ["fired" if i % 2 == 0 else "cleared" for i in range(len(changes))]
    for when, kind in changes:
        lasts = for_s if kind == "fired" else clear_for_s
        holds = rule.is_bad if kind == "fired" else rule.is_well
        run: list[float] = []
        for at, value in history:
            if at > when:
                break
            run = [*run, at] if value is not None and holds(value) else []
        assert run, "it holds at the moment itself"
        assert when - run[0] >= lasts or any(at <= when - lasts for at in run)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "temperature_over", "limit": 80, "clear": 85}, "above limit"),
        ({"kind": "fps_under", "limit": 0.5, "clear": 0.4}, "below limit"),
        ({"kind": "fps_under", "limit": 5}, "share"),
        ({"kind": "temperature_over", "limit": "hot"}, "limit"),
        ({"kind": "temperature_over", "limit": float("nan")}, "limit"),
        ({"kind": "temperature_over", "limit": 80, "fro_s": 5}, "for_s"),
        ({"kind": "humidity_over", "limit": 80}, "kind"),
        ({"kind": "age_over", "limit": 80, "name": "a b"}, "name"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_its_field(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        rule_from_json({"name": "rule", **wrong})
