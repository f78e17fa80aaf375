"""When devices may be told to begin: a maintenance window, in a time zone, and so many a minute. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_MINUTE_S = 60.0


def check_hours(text: str) -> str:
    """Return `HH:MM-HH:MM` as it is, over midnight where the second is the smaller one. Raises ValueError: it is not."""
    found = _HOURS.fullmatch(text)
    if found is None or found[1] + found[2] == found[3] + found[4]:
        raise ValueError("must be two times of a day that differ, such as 22:00-05:30")
    return text


def is_open(hours: str, zone: str, now: float) -> bool:
    """Tell whether a time, in seconds since 1970, lies within the hours; empty hours are always open."""
    if not hours:
        return True
    here = datetime.fromtimestamp(now, ZoneInfo(zone)).strftime("%H:%M")
    begin, end = hours.split("-")
    return begin <= here < end if begin < end else here >= begin or here < end


def room(rate_per_min: int, told: Iterable[float], now: float) -> int | None:
    """Return how many more may be told now; None for as many as there are.

    Args:
        rate_per_min: 0 for no limit.
        told: when devices of this roll-out were told.
    """
    if not rate_per_min:
        return None
    return max(0, rate_per_min - sum(now - _MINUTE_S < at <= now for at in told))
