"""How late reports were committed, counted in little room; and how seldom garbage is looked for meanwhile."""

from __future__ import annotations

import gc
import math

from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.collect.collection_pause import rare_collections
from edgesdk.fleet.collect.figures import Figures, Lags


@given(st.lists(st.integers(-5, 100_000), min_size=1, max_size=300))
def test_lags_are_those_of_a_sorted_list(delays: list[int]) -> None:
    lags = Lags()
    lags.add(delays[: len(delays) // 2])
    lags.add(delays[len(delays) // 2 :])
    ordered = sorted(min(max(ms, 0), 60_000) for ms in delays)
    assert lags.to_json() == {
        "p50": ordered[math.ceil(0.5 * len(ordered)) - 1],
        "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "max": ordered[-1],
    }


def test_nothing_has_no_lag_and_what_nobody_timed_does_not_count() -> None:
    figures = Figures()
    assert figures.to_json()["commit_lag_ms"] == {"p50": None, "p99": None, "max": None}
    figures.note_lags([0, 0], [])
    assert figures.to_json()["commit_lag_ms"]["max"] is None


def test_the_process_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
