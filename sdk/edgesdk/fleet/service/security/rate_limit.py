"""How often one may ask: a bucket of tokens for each asker, refilled steadily, in bounded memory."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk.fleet.service.security.refusals import TooManyRequests

_MAX_ASKERS = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a minute in the long run."""

    burst: int
    per_minute: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_minute <= 0:
            raise ValueError("a rate lets at least one through")


# What a program or a page asks; a dashboard open in several tabs stays far below.
ANY = Rate(600, 3000)
# What makes devices do something.
COMMANDS = Rate(60, 120)
# Enrolment, by address: a whole site behind one address joins in a rush, and who is refused again and again is guessing.
JOINING = Rate(600, 600)
REFUSED_JOINING = Rate(10, 10)


class RateLimit:
    """Buckets by asker; those that spoke last are remembered.

    Args:
        rate: how often.
        clock: seconds that only grow.
    """

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, asker: str) -> None:
        """Take one token of the asker's.

        Raises:
            TooManyRequests: there is none; says when there is.
        """
        now = self._clock()
        with self._lock:
            tokens = self._left(asker, now)
            self._buckets.pop(asker, None)
            self._buckets[asker] = (tokens - 1 if tokens >= 1 else tokens, now)
            # The one that was silent longest has its bucket full again, or nearly.
            while len(self._buckets) > _MAX_ASKERS:
                self._buckets.popitem(last=False)
        self._check(tokens)

    def look(self, asker: str) -> None:
        """Let pass who could take a token, and take none.

        Raises:
            TooManyRequests: there is none; says when there is.
        """
        with self._lock:
            tokens = self._left(asker, self._clock())
        self._check(tokens)

    def _left(self, asker: str, now: float) -> float:
        tokens, then = self._buckets.get(asker, (float(self._rate.burst), now))
        return min(float(self._rate.burst), tokens + (now - then) * self._rate.per_minute / 60)

    def _check(self, tokens: float) -> None:
        if tokens < 1:
            wait = math.ceil((1 - tokens) * 60 / self._rate.per_minute)
            raise TooManyRequests(f"Too many requests; try again in {wait} s.", retry_after_s=wait)

    def give(self, asker: str) -> None:
        """Put a token back that was taken for what turned out not to count."""
        with self._lock:
            if asker in self._buckets:
                tokens, then = self._buckets[asker]
                self._buckets[asker] = (min(float(self._rate.burst), tokens + 1), then)
