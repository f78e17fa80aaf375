"""Silences: when nobody is told. The alert itself begins and ends as ever, and is seen on the dashboard.

What still goes on when a silence ends is told then; what began and ended within it never is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from edgesdk.fleet.alerts.scope import Scope, Subject

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Weekly(BaseModel):
    """A window that comes back: from `start` to `end` by the clock of a place, on the days on which it starts.

    Where `end` is not after `start` it lies on the next day, such as from 22:00 to 06:00.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = _DAYS
    start: Annotated[str, Field(pattern=_CLOCK)]
    end: Annotated[str, Field(pattern=_CLOCK)]
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name[:80]!r} is no time zone, such as Europe/Berlin") from error
        return name

    def covers(self, now: datetime) -> bool:
        """Tell whether a moment lies in it."""
        here = now.astimezone(ZoneInfo(self.timezone))
        clock = here.strftime("%H:%M")
        today, yesterday = _DAYS[here.weekday()], _DAYS[(here - timedelta(days=1)).weekday()]
        if self.start < self.end:
            return today in self.days and self.start <= clock < self.end
        return (today in self.days and clock >= self.start) or (yesterday in self.days and clock < self.end)


class Silence(BaseModel):
    """When, and about what, nobody is told.

    Attributes:
        since, until: once; both may be open. weekly: within that time only in these windows.
        rules: names of rules; all unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope = Scope()
    rules: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    weekly: Weekly | None = None
    reason: Annotated[str, Field(max_length=1000)] = ""

    @model_validator(mode="after")
    def _ends(self) -> Silence:
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until is not after since")
        if self.until is None and self.weekly is None:
            raise ValueError("a silence ends: give until, or a weekly window")
        return self

    def covers(self, rule: str, subject: Subject, now: datetime) -> bool:
        """Tell whether nobody is to be told of a rule on a device at a moment."""
        return (
            (not self.rules or rule in self.rules)
            and (self.since is None or now >= self.since)
            and (self.until is None or now < self.until)
            and (self.weekly is None or self.weekly.covers(now))
            and self.scope.covers(subject)
        )
