"""The cheapest pairing of rows with columns, where a pair that costs too much is none: exact, in numpy.

Shortest augmenting paths with dual variables, after R. Jonker and A. Volgenant, "A Shortest Augmenting Path Algorithm
for Dense and Sparse Linear Assignment Problems", Computing 38 (1987), in the rectangular form of D. F. Crouse, "On
implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52 (2016).

A row without a partner costs `limit`. Clipping every cost at `limit` turns this into a plain assignment of the shorter
side: any pairing can be filled up to a full one with pairs that cost no more than `limit`, and those are dropped at the
end. From one frame to the next objects seldom compete, so the rows' minima are tried first: where they lie in
different columns no pairing can be cheaper.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array

_NOBODY = -1


def assign(cost: Array, limit: float) -> tuple[Array, Array]:
    """Pair rows with columns so that pairs and rows left alone, at `limit` each, cost least in sum.

    Args:
        cost: (R, C) float, finite.
        limit: a pair that costs as much or more is not made.

    Returns:
        rows (P,) int64, ascending, and columns (P,) int64.
    """
    rows, columns = np.nonzero(cost < limit)
    # Nobody competes: the usual case, and it needs no search.
    if _all_differ(rows) and _all_differ(columns):
        return rows, columns
    # Who has no possible partner only makes the problem larger.
    wanted, offered = np.unique(rows), np.unique(columns)
    clipped = np.minimum(cost[np.ix_(wanted, offered)], limit).astype(np.float64)
    chosen = _solve(clipped) if len(wanted) <= len(offered) else _inverted(_solve(clipped.T), len(wanted))
    paired = np.flatnonzero(chosen != _NOBODY)
    paired = paired[clipped[paired, chosen[paired]] < limit]
    return wanted[paired], offered[chosen[paired]]


def _all_differ(numbers: Array) -> bool:
    return len(set(numbers.tolist())) == len(numbers)


def _inverted(chosen: Array, length: int) -> Array:
    """Turn "the row of each column" into "the column of each row"."""
    inverse = np.full(length, _NOBODY)
    inverse[chosen] = np.arange(len(chosen))
    return inverse


def _solve(cost: Array) -> Array:
    """Return the column of each row, (R,) int64, for a cost (R, C) with R <= C."""
    rows, columns = cost.shape
    chosen = np.full(rows, _NOBODY)
    taken_by = np.full(columns, _NOBODY)
    # With these prices no reduced cost is negative, and each row's cheapest column costs nothing: who comes first has it.
    row_price, column_price = cost.min(axis=1), np.zeros(columns)
    for row, column in enumerate(cost.argmin(axis=1).tolist()):
        if taken_by[column] == _NOBODY:
            chosen[row], taken_by[column] = column, row
    for row in np.flatnonzero(chosen == _NOBODY).tolist():
        _augment(row, cost, row_price, column_price, chosen, taken_by)
    return chosen


def _augment(free_row: int, cost: Array, row_price: Array, column_price: Array, chosen: Array, taken_by: Array) -> None:
    """Give a free row a column along the cheapest chain of exchanges, and set the prices right again."""
    distance = np.full(cost.shape[1], np.inf)
    reached_from = np.full(cost.shape[1], _NOBODY)
    open_columns = np.ones(cost.shape[1], bool)
    row, so_far = free_row, 0.0
    visited = [free_row]
    while True:
        through = so_far + cost[row] - row_price[row] - column_price
        shorter = open_columns & (through < distance)
        distance[shorter] = through[shorter]
        reached_from[shorter] = row
        column = int(np.where(open_columns, distance, np.inf).argmin())
        so_far = float(distance[column])
        open_columns[column] = False
        if taken_by[column] == _NOBODY:
            break
        row = int(taken_by[column])
        visited.append(row)
    settled = ~open_columns
    settled[column] = False  # its distance is `so_far`: its price stays
    row_price[free_row] += so_far
    for row in visited[1:]:
        row_price[row] += so_far - distance[chosen[row]]
    column_price[settled] -= so_far - distance[settled]
    while True:  # walk the chain back, each row taking the column by which it was reached
        row = int(reached_from[column])
        taken_by[column] = row
        chosen[row], column = column, int(chosen[row])
        if row == free_row:
            return
