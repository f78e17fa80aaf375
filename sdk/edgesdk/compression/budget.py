"""Find how much has to be taken so that a model keeps to a budget, by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgesdk_targets.errors import InputError

T = TypeVar("T")
_HALVINGS = 9


def least_that_fits(
    make: Callable[[float], T],
    *,
    measure: Callable[[T], float],
    limit: float,
    most: float,
    what: str,
    stands_in_the_way: str,
    whole: float,
    halvings: int = _HALVINGS,
) -> T:
    """Return what is made with the least amount taken that measures at most the limit.

    Args:
        make: what comes of taking an amount from 0 to `most`; more taken is never larger.
        measure: its size, in the limit's unit.
        what: is measured, for the message.
        stands_in_the_way: why no more can be taken, for the message.
        whole: its size before anything is taken.
        halvings: how closely the amount is sought.

    Raises:
        InputError: even the most taken measures more; says how close it came.
    """
    best = make(most)
    reached = measure(best)
    if reached > limit:
        raise InputError(
            f"The budget cannot be met: {_amount(limit)} {what} ({limit / whole:.1%} of {_amount(whole)}) were asked for, and "
            f"{_amount(reached)} ({reached / whole:.1%}) is the least: {stands_in_the_way}.",
            hint="Allow more, or let the pass take what it leaves out.",
        )
    low, high = 0.0, most
    for _ in range(halvings):
        middle = (low + high) / 2
        tried = make(middle)
        if measure(tried) <= limit:
            best, high = tried, middle
        else:
            low = middle
    return best


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
