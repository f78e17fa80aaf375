"""Is the mean of what comes one by one above a limit, or below it? Asked after each, and right however often one asks. Pure.

Two players bet on each observation, one that the mean is above the limit, one that it is below. The wealth of one who is
wrong does not grow on average, so that it ever comes to 1/alpha with a probability of alpha at most (Ville's inequality):
the answer may be looked at after each observation, and the first time that it is clear is the time to stop. How much to bet
depends on the true mean, which nobody knows: so each player spreads his wealth over several fractions, and the mean of fair
games is a fair game.

Source: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, Journal of the Royal
Statistical Society B 86 (2024) 1-27, doi:10.1093/jrsssb/qkad009: the capital process of section 4, mixed over fixed
fractions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

# Of what a player may lose at most. Small ones for a mean near the limit, large ones for a mean far from it.
_FRACTIONS = (0.03, 0.08, 0.18, 0.35, 0.55, 0.75, 0.95)
_STEPS = 24
# A run may last for weeks: of what came only so fine a histogram is kept.
_FINE = 1000


class MeanTest:
    """Observations from 0 to 1, of which none may say anything of the others.

    Args:
        limit: above 0 and below 1; a mean of just this is neither.
        above_alpha, below_alpha: how likely each answer may be where it is wrong.

    Attributes:
        above, below: whether that is known by now; once known it stays so.
    """

    def __init__(self, limit: float, above_alpha: float, below_alpha: float) -> None:
        self.limit = limit
        self.above = self.below = False
        self._needed = math.log(1 / above_alpha), math.log(1 / below_alpha)
        self._wealth = [0.0] * len(_FRACTIONS), [0.0] * len(_FRACTIONS)
        self._count, self._sum = 0, 0.0
        # Of both sides, as the interval must hold the mean whatever was rounded.
        self._least: Counter[float] = Counter()
        self._most: Counter[float] = Counter()

    def __len__(self) -> int:
        return self._count

    @property
    def mean(self) -> float | None:
        """The mean of what came; None before anything did."""
        return self._sum / self._count if self._count else None

    def add(self, value: float) -> None:
        """Take an observation; what is outside of 0 to 1 counts as the nearer end."""
        value = min(1.0, max(0.0, value))
        self._count, self._sum = self._count + 1, self._sum + value
        self._least[math.floor(value * _FINE) / _FINE] += 1
        self._most[1 - math.ceil(value * _FINE) / _FINE] += 1
        high, low = self._wealth
        _bet(high, value, self.limit)
        _bet(low, 1 - value, 1 - self.limit)
        self.above = self.above or _log_mean_exp(high) >= self._needed[0]
        self.below = self.below or _log_mean_exp(low) >= self._needed[1]

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return between what the mean is, with a probability of 1 - alpha at any time that one asks."""
        needed = math.log(2 / alpha)
        low = _least_mean(self._least, needed)
        high = 1 - _least_mean(self._most, needed)
        return (low, high) if low <= high else (high, low)


def _bet(wealth: list[float], value: float, limit: float) -> None:
    for at, fraction in enumerate(_FRACTIONS):
        wealth[at] += math.log1p(fraction * (value - limit) / limit)


def _least_mean(values: Mapping[float, int], needed: float) -> float:
    """Return the greatest limit above which the mean is known to be; 0 where none is."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        limit = (low + high) / 2
        wealth = [
            math.fsum(count * math.log1p(f * (value - limit) / limit) for value, count in values.items())
            for f in _FRACTIONS
        ]
        low, high = (limit, high) if _log_mean_exp(wealth) >= needed else (low, limit)
    return low


def _log_mean_exp(logs: Iterable[float]) -> float:
    found = list(logs)
    most = max(found)
    return most + math.log(math.fsum(math.exp(one - most) for one in found) / len(found))
