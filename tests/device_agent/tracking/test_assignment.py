"""The assignment, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edgesdk_agent.tracking.assignment import assign


def price(cost: np.ndarray, rows: np.ndarray, columns: np.ndarray, limit: float) -> float:
    return float(cost[rows, columns].sum() + limit * (cost.shape[0] - len(rows)))


def scipy_price(cost: np.ndarray, limit: float) -> float:
    """The least price by SciPy: a column of its own lets each row stay alone."""
    alone = np.full((cost.shape[0], cost.shape[0]), limit)
    padded = np.concatenate([np.where(cost < limit, cost, 1e6), alone], axis=1)
    return float(padded[linear_sum_assignment(padded)].sum())


@given(
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.3, 0.8, 1.0, 2.0]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_no_pairing_is_cheaper(rows: int, columns: int, seed: int, limit: float, ties: bool) -> None:
    cost = np.random.default_rng(seed).random((rows, columns))
    cost = np.round(cost, 1) if ties else cost
    by_row, by_column = assign(cost, limit)
    assert by_row.tolist() == sorted(set(by_row.tolist()))
    assert len(set(by_column.tolist())) == len(by_column)
    assert (cost[by_row, by_column] < limit).all()
    assert price(cost, by_row, by_column, limit) == pytest.approx(scipy_price(cost, limit))


def test_a_crowd_is_paired_as_scipy_does() -> None:
    cost = np.random.default_rng(5).random((60, 80))
    rows, columns = assign(cost, 10.0)
    assert len(rows) == 60
    assert cost[rows, columns].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum())


def test_who_comes_first_is_not_served_first() -> None:
    """Negative control: a greedy pairing takes (0, 0), and leaves row 1 alone."""
    cost = np.array([[0.1, 0.2], [0.15, 0.9]])
    rows, columns = assign(cost, 0.8)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
