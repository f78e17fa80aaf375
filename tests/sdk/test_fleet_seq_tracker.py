from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.seq_tracker import SeqTracker


def _see(tracker: SeqTracker, *seqs: int) -> list[bool]:
    return [tracker.see(seq, in_order=True) for seq in seqs]


def test_numbers_in_order_miss_nothing_wherever_they_begin() -> None:
    tracker = SeqTracker()
    assert all(_see(tracker, *range(100, 200)))
    assert (tracker.missing, tracker.duplicates) == (0, 0)


def test_a_gap_is_missing_until_it_is_filled() -> None:
    tracker = SeqTracker()
    _see(tracker, 1, 2, 5, 6)
    assert tracker.missing == 2
    assert _see(tracker, 3) == [True]
    assert tracker.missing == 1
    _see(tracker, 4)
    assert (tracker.missing, tracker.duplicates) == (0, 0)


def test_what_comes_twice_is_counted_and_not_new() -> None:
    tracker = SeqTracker()
    assert _see(tracker, 1, 2, 2, 1, 4, 4) == [True, True, False, False, True, False]
    assert tracker.duplicates == 3


def test_an_event_that_overtakes_is_no_gap() -> None:
    tracker = SeqTracker()
    assert tracker.see(5, in_order=False)
    assert _see(tracker, 2, 3, 4, 6) == [True] * 4
    assert (tracker.missing, tracker.duplicates) == (0, 0)


def test_memory_is_bounded_whatever_comes() -> None:
    tracker = SeqTracker()
    _see(tracker, *range(0, 200_000, 2))
    assert len(tracker._ahead) <= 4097
    assert tracker.missing == 100_000 - 1
    events = SeqTracker()
    for seq in range(0, 100_000, 2):
        events.see(seq, in_order=False)
    assert len(events._ahead) <= 4097


@given(st.lists(st.integers(1, 60), min_size=1, max_size=120))
def test_the_count_is_that_of_a_set(seqs: list[int]) -> None:
    tracker = SeqTracker()
    seen: set[int] = set()
    for seq in [0, *seqs]:
        assert tracker.see(seq, in_order=True) is (seq not in seen)
        seen.add(seq)
        assert tracker.missing == max(seen) + 1 - len(seen)


def test_any_order_ends_with_nothing_missing() -> None:
    seqs = list(range(1, 500))
    random.Random(1).shuffle(seqs)
    tracker = SeqTracker()
    _see(tracker, 0, *seqs)
    assert (tracker.missing, tracker.duplicates) == (0, 0)
