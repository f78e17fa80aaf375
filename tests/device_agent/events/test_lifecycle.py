"""Events from new to end: ids, before and after, and what is held back."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.events.event import Moment, SceneEvent
from edgesdk_agent.events.lifecycle import Lifecycle, Origin
from edgesdk_agent.events.rate_limit import RateLimit


class Rule:
    """A life-cycle, and what it told."""

    def __init__(self, per_minute: int = 1000) -> None:
        numbers = count(1)
        self.told: list[SceneEvent] = []
        self.events = Lifecycle(
            Origin("r", "object", "door"), per_minute, lambda: f"id-{next(numbers)}", self.told.append
        )

    def phases(self) -> list[tuple[str, str]]:
        return [(one.id, one.phase) for one in self.told]


def moment(at: float) -> Moment:
    return Moment(frame=int(at * 30), at=at, wall=1e9 + at)


def test_a_story_has_one_id_and_before_is_what_was_told_last() -> None:
    rule = Rule()
    rule.events.begin("a", moment(1), moment(2), {"n": 1}, {"box": 0})
    rule.events.change("a", moment(3), {"n": 1}, {"box": 5})
    rule.events.change("a", moment(4), {"n": 2}, {"box": 6})
    rule.events.end("a", moment(5), details={"box": 7})
    assert rule.phases() == [("id-1", "new"), ("id-1", "update"), ("id-1", "end")]
    new, update, end = rule.told
    assert (new.before, new.after, new.duration_s) == (None, {"n": 1, "box": 0}, 1.0)
    assert (update.before, update.after) == (new.after, {"n": 2, "box": 6})
    assert (end.before, end.after, end.duration_s) == (update.after, {"n": 2, "box": 7}, 4.0)
    assert (end.started_at, end.occurred_at) == (1e9 + 1, 1e9 + 5)
    assert "a" not in rule.events


def test_what_did_not_change_in_what_matters_is_not_told() -> None:
    rule = Rule()
    rule.events.begin("a", moment(0), moment(0), {"n": 1})
    for at in range(1, 50):
        rule.events.change("a", moment(at), {"n": 1}, {"box": at})
    assert len(rule.told) == 1
    assert rule.events.held_back == 0


def test_what_is_held_back_is_counted_and_the_newest_state_comes_when_there_is_room() -> None:
    rule = Rule(per_minute=2)
    rule.events.begin("a", moment(0), moment(0), {"n": 0})
    for n in range(1, 6):
        rule.events.change("a", moment(n), {"n": n})
    assert rule.phases() == [("id-1", "new"), ("id-1", "update")]
    assert rule.events.held_back == 3
    rule.events.settle(moment(59))
    assert len(rule.told) == 2
    rule.events.settle(moment(60.5))
    assert rule.told[-1].before == {"n": 1}
    assert rule.told[-1].after == {"n": 5}
    # The overtaken three are held back; the newest was only late.
    assert rule.told[-1].held_back == 3


def test_an_end_comes_later_rather_than_never_and_before_anything_new() -> None:
    rule = Rule(per_minute=1)
    rule.events.begin("a", moment(0), moment(0), {})
    rule.events.end("a", moment(1))
    rule.events.begin("b", moment(2), moment(2), {})
    rule.events.settle(moment(60))
    assert rule.phases() == [("id-1", "new"), ("id-1", "end")]
    assert rule.told[-1].occurred_at == 1e9 + 1
    rule.events.end("b", moment(70))
    assert rule.events.held_back == 1
    rule.events.settle(moment(200))
    assert len(rule.told) == 2, "what nobody heard of does not end"


def test_what_happens_once_is_told_or_counted() -> None:
    rule = Rule(per_minute=3)
    for at in range(10):
        rule.events.once(moment(at), {"n": at})
    assert [one.phase for one in rule.told] == ["once"] * 3
    assert rule.events.held_back == 7


def test_closing_ends_everything_that_was_told() -> None:
    rule = Rule(per_minute=2)
    for key in "abc":
        rule.events.begin(key, moment(0), moment(0), {})
    rule.events.close(moment(1))
    assert sorted(rule.phases()) == [("id-1", "end"), ("id-1", "new"), ("id-2", "end"), ("id-2", "new")]
    assert rule.events.held_back == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(0, 40)), max_size=60), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_any_course_keeps_the_rules(steps: list[tuple[int, int, float]], per_minute: int) -> None:
    """Never more than m in any minute; each story whole; before joins after; told and held back are all there was."""
    rule, at, began = Rule(per_minute), 0.0, 0
    times: list[float] = []
    for key, state, passed in steps:
        at += passed
        if key not in rule.events:
            rule.events.begin(key, moment(at), moment(at), {"s": state})
            began += 1
        elif state == 0:
            rule.events.end(key, moment(at))
        else:
            rule.events.change(key, moment(at), {"s": state})
        times += [at] * (len(rule.told) - len(times))
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[per_minute:], strict=False))
    rule.events.close(moment(at))
    stories = {one.id: [other for other in rule.told if other.id == one.id] for one in rule.told}
    for story in stories.values():
        assert [one.phase for one in story] == ["new", *["update"] * (len(story) - 2), "end"]
        assert story[0].before is None
        assert all(a.after == b.before for a, b in pairwise(story))
    assert len(stories) + rule.events.held_back >= began
    assert rule.events.told == len(rule.told)


def test_a_clock_that_is_set_back_does_not_silence_a_rule() -> None:
    limit = RateLimit(1)
    limit.passed(1000.0)
    assert not limit.has_room(1010.0)
    assert limit.has_room(5.0)


@pytest.mark.parametrize("per_minute", [1, 7])
def test_the_limit_is_of_any_minute_not_of_the_calendars(per_minute: int) -> None:
    limit, passed = RateLimit(per_minute), []
    for tenth in range(3000):
        at = tenth / 10
        if limit.has_room(at):
            limit.passed(at)
            passed.append(at)
    assert all(b - a >= 60 for a, b in zip(passed, passed[per_minute:], strict=False))
    assert len(passed) == 5 * per_minute
