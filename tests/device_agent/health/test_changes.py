from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.health.changes import Changes
from edgesdk_agent.health.finding import Finding, Level


def finding(level: Level) -> Finding:
    return Finding("disk_space", level, "x MB are free.")


def test_worse_is_told_at_once_better_when_it_lasted_and_each_once() -> None:
    changes = Changes(settle_s=10.0)
    levels = [(0.0, Level.OK), (1.0, Level.WARNING), (2.0, Level.WARNING), (3.0, Level.FAILING), (4.0, Level.OK)]
    told = [(at, one.level) for at, level in levels for one in changes.news([finding(level)], at)]
    assert told == [(1.0, Level.WARNING), (3.0, Level.FAILING)]
    assert not changes.all_well
    assert changes.news([finding(Level.OK)], 13.9) == []
    assert [one.level for one in changes.news([finding(Level.OK)], 14.0)] == [Level.OK]
    assert changes.all_well


@given(st.lists(st.sampled_from(list(Level)), max_size=200))
def test_a_figure_around_its_mark_is_no_flood(levels: list[Level]) -> None:
    """Readings once a second: whatever they say, what becomes better is told once in ten seconds at most."""
    changes, told = Changes(settle_s=10.0), []
    for at, level in enumerate(levels):
        told += [(at, one.level) for one in changes.news([finding(level)], float(at))]
    assert len(told) <= 3 * (len(levels) / 10 + 1)
    assert all(before != after for (_, before), (_, after) in itertools.pairwise(told))
