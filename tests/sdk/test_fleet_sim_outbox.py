"""The outbox of a simulated device: nothing leaves it that nobody told as stored, or that is not declared as gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.sim.outbox import STALL_S, Kind, Outbox
from edgesdk.fleet.store.coverage import Coverage, ranges_of

numbers = st.sets(st.integers(1, 40))


def _filled(count: int) -> Outbox:
    box = Outbox()
    for made in range(count):
        assert box.put(Kind.RESULT, made, float(made)) is None
    return box


@given(st.integers(0, 40), numbers)
def test_what_is_told_as_stored_goes_and_all_else_stays(count: int, stored: set[int]) -> None:
    box = _filled(count)
    told = Coverage().settle(ranges_of(stored))
    gone = [kept.seq for kept in box.settled(told.upto, told.ahead, 50.0)]
    # Who is told of numbers that it never gave hears of another device's.
    expected = stored if max(stored, default=0) <= count else set()
    assert sorted(gone) == sorted(expected)
    assert len(box) == count - len(gone)
    box.all_again()
    left = []
    while (kept := box.take()) is not None:
        left.append(kept.seq)
    assert left == [seq for seq in range(1, count + 1) if seq not in expected]


@given(st.integers(1, 30), numbers)
def test_what_is_wanted_is_sent_first_and_once(count: int, wanted: set[int]) -> None:
    box = _filled(count)
    while box.take() is not None:
        pass
    box.again(ranges_of(wanted))
    box.again(ranges_of(wanted))
    found = []
    while (kept := box.take()) is not None:
        found.append(kept.seq)
    assert found == sorted(seq for seq in wanted if seq <= count)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 200))
def test_what_does_not_fit_is_declared_number_by_number(count: int, room: int, connected_at: int) -> None:
    box = Outbox(room)
    lost = []
    for made in range(count):
        if made == connected_at:
            while box.take() is not None:
                pass
        gone = box.put(Kind.RESULT, made, float(made))
        if gone is not None:
            lost.append(gone.seq)
            box.declare(gone, made, float(made))
    box.all_again()
    kept = []
    while (one := box.take()) is not None:
        kept.append(one)
    declared = [seq for one in kept for part in one.gone for seq in range(part.first, part.last + 1)]
    assert sorted(declared) == sorted(lost)
    assert sorted([one.seq for one in kept] + lost) == list(range(1, box.next_seq))
    assert all(sum(part.reports.values()) == part.last - part.first + 1 for one in kept for part in one.gone)


def test_silence_is_noticed_once_and_then_later_and_later() -> None:
    box = _filled(1)
    assert not box.stalled(STALL_S)  # not sent yet
    box.take()
    assert box.stalled(STALL_S)
    assert not box.stalled(STALL_S)
    assert not box.stalled(STALL_S + 3)
    assert box.stalled(STALL_S + 2 * STALL_S)
