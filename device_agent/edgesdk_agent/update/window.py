"""The hours of a day in which updates may come, by the device's own clock. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Window:
    """From a minute of the day until another, over midnight where it is the smaller one."""

    begin: int
    end: int

    @classmethod
    def from_text(cls, text: str) -> Window:
        """Read `HH:MM-HH:MM`. Raises ValueError."""
        found = _HOURS.fullmatch(text)
        if found is None or found[1] + found[2] == found[3] + found[4]:
            raise ValueError("must be two times of a day that differ, such as 22:00-05:30")
        hour, minute, end_hour, end_minute = map(int, found.groups())
        return cls(hour * 60 + minute, end_hour * 60 + end_minute)

    def holds(self, minute: int) -> bool:
        """Say whether a minute of the day is within."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end
