"""How long to wait before the next attempt: doubling up to a limit, spread by chance.

The chance keeps a thousand devices from coming back in the same second after their broker was away.
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays between attempts.

    Args:
        first_s: the longest delay after the first failure.
        limit_s: the longest delay at all.
        chance: a number from 0 to 1; the delay is between half and all of its longest.
    """

    def __init__(
        self, first_s: float = 1.0, limit_s: float = 60.0, chance: Callable[[], float] = random.random
    ) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._chance = chance
        self._failures = 0

    def next_s(self) -> float:
        """Return the delay after one more failure."""
        # Beyond 16 doublings the limit has long been reached, and the power would only grow.
        longest = min(self._limit_s, self._first_s * float(1 << min(self._failures, 16)))
        self._failures += 1
        return longest * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self._failures = 0
