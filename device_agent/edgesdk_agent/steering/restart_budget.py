"""How often the agent may be made to start again from afar: a few times at once, then ever more seldom. Pure.

Whatever asks for it, a desired state that fails over and over or a script that sends `restart` in a loop, a device that
mostly starts does not look at its cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

# So many within an hour cost no waiting; from then on the next one is so long after the last, and twice as long each time.
FREE = 3
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
_REMEMBERED_S = 3600.0


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """What was spent.

    Attributes:
        at: of each restart, seconds of the monotonic clock, the oldest first.
    """

    at: tuple[float, ...] = ()

    def wait_s(self, now: float) -> float:
        """Return how long the next restart has to wait; 0 where it need not."""
        recent = self._recent(now)
        if len(recent) < FREE:
            return 0.0
        pause = min(FIRST_WAIT_S * 2.0 ** (len(recent) - FREE), LONGEST_WAIT_S)
        return max(0.0, recent[-1] + pause - now)

    def spent(self, now: float) -> RestartBudget:
        """Return what is left after a restart at `now`."""
        return RestartBudget((*self._recent(now), now))

    def _recent(self, now: float) -> tuple[float, ...]:
        # A time to come is of another boot.
        return tuple(at for at in self.at if now - _REMEMBERED_S <= at <= now)
