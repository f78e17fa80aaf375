"""Until when a command may still be begun, on the monotonic clock, whatever the wall clock says.

- A clock that is right decides: the deadline minus now.
- A clock that cannot be right (before this was written, or behind the moment at which the sender spoke) does not. What
  counts then is how long the sender gave, `deadline - at`, from when the message came; or less, where the broker says
  how much of its expiry is left, because the message waited there.
- The broker's count bounds a right clock too: it runs on another machine, and one of the two may have jumped.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

# Clocks of two machines differ a little; only a clock further behind than this is wrong.
_TOLERANCE = timedelta(seconds=120)
_WRITTEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
LONGEST_S = 7 * 24 * 3600.0


def clock_is_trusted(now: datetime, said_at: datetime) -> bool:
    """Say whether this device's clock can be right, given when somebody else spoke by his."""
    return now >= _WRITTEN and said_at - now <= _TOLERANCE


def seconds_left(*, now: datetime, said_at: datetime, deadline: datetime, expires_s: float | None) -> float:
    """Return how long from now a command may still be begun; zero or less: not any more.

    Args:
        now: this device's wall clock when the command came.
        said_at, deadline: by the sender's clock.
        expires_s: what the broker says is left of the message's expiry, where it had one.
    """
    given = deadline - (now if clock_is_trusted(now, said_at) else said_at)
    left = min(given.total_seconds(), LONGEST_S)
    return left if expires_s is None else min(left, expires_s)
