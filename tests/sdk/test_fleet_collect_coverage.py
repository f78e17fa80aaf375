"""Ranges against a plain set of numbers, which is slow and obviously right."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.store.coverage import MAX_ISLANDS, Coverage, ranges_of

_RANGE = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1]))
_STEPS = st.lists(st.lists(_RANGE, max_size=6), max_size=12)


def _numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}


@given(_STEPS)
def test_a_coverage_is_the_set_of_all_its_ranges(steps: list[list[tuple[int, int]]]) -> None:
    coverage, model = Coverage(), set[int]()
    for ranges in steps:
        coverage = coverage.settle(ranges)
        model |= _numbers(ranges)
        upto = next(n for n in range(100) if n + 1 not in model)
        assert coverage.upto == upto
        assert _numbers([(1, upto), *coverage.ahead]) == model
        assert {n for n in range(-1, 90) if n in coverage} == model
        assert (coverage.count, coverage.highest) == (len(model), max(model, default=0))
        assert _numbers(list(coverage.holes())) == set(range(1, max(model, default=0))) - model
        # One way to write a set: islands ascend, and none touches another or the watermark.
        edges = [(0, upto), *coverage.ahead]
        assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(edges))


@given(st.lists(st.integers(1, 50)))
def test_numbers_become_the_fewest_ranges(seqs: list[int]) -> None:
    ranges = ranges_of(seqs)
    assert _numbers(ranges) == set(seqs)
    assert len(ranges) == len([n for n in set(seqs) if n - 1 not in seqs])


def test_every_other_number_costs_bounded_memory_and_is_settled_when_it_comes_again() -> None:
    odd = list(range(3, 6 * MAX_ISLANDS, 2))
    coverage = Coverage().settle(ranges_of(odd))
    assert len(coverage.ahead) == MAX_ISLANDS
    assert coverage.highest < max(odd)
    # The device sends again what is not settled, until all is.
    everything, passes = range(1, 6 * MAX_ISLANDS), 0
    while coverage.upto < everything[-1]:
        left = [n for n in everything if n not in coverage]
        for start in range(0, len(left), 60):
            coverage = coverage.settle(ranges_of(left[start : start + 60]))
        passes += 1
    assert passes == 1
    assert coverage == Coverage(everything[-1])
