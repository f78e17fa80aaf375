"""A silence as a form: for some hours from now on, until a time, or every week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import ValidationError

from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.dashboard.forms import scope_fields
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems

# How long, by hours; besides there are `until` and `weekly`.
LASTS = {"1": "an hour", "4": "four hours", "24": "a day", "168": "a week"}
DAYS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}
_LOCAL = "%Y-%m-%dT%H:%M"


def silence_of(form: Mapping[str, str], now: datetime) -> Silence:
    """Return the silence that a person wrote.

    Raises:
        InputError: a field is missing, or has a value that it cannot have.
    """
    document: dict[str, Any] = {
        "scope": scope_fields.scope_of(form), "rules": scope_fields.ticked(form, "rule"),
        "reason": form.get("reason", "").strip(),
    }  # fmt: skip
    lasts = form.get("lasts", "")
    if lasts in LASTS:
        document["until"] = now + timedelta(hours=int(lasts))
    elif lasts == "until":
        document["until"] = _moment(form.get("until", ""))
        if document["until"] <= now:
            raise InputError("The silence would be over already.", hint="Give a time that is still to come, in UTC.")
    elif lasts == "weekly":
        document["weekly"] = {
            "days": [day for day in DAYS if f"day.{day}" in form], "start": form.get("start", ""),
            "end": form.get("end", ""), "timezone": form.get("timezone", "").strip() or "UTC",
        }  # fmt: skip
    else:
        raise InputError("Say how long the silence lasts.")
    try:
        return Silence.model_validate(document)
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(Silence, error))
        raise InputError(f"The silence cannot be used: {told}") from error


def shown(silence: Silence) -> dict[str, str]:
    """Return the fields' values of a silence; what is ticked is `on`."""
    fields = {**scope_fields.shown(silence.scope), "reason": silence.reason, "lasts": "weekly"}
    fields |= {f"rule.{name}": "on" for name in silence.rules}
    if silence.weekly is not None:
        weekly = silence.weekly
        fields |= {"start": weekly.start, "end": weekly.end, "timezone": weekly.timezone}
        fields |= {f"day.{day}": "on" for day in weekly.days}
    elif silence.until is not None:
        fields |= {"lasts": "until", "until": silence.until.astimezone(timezone.utc).strftime(_LOCAL)}
    return blank() | fields


def blank() -> dict[str, str]:
    """Return the fields' values of a silence that is still to be made."""
    every_day = {f"day.{day}": "on" for day in DAYS}
    return {
        "nodes": "", "sites": "", "tags": "", "reason": "", "lasts": "1", "until": "", "start": "22:00", "end": "06:00",
        "timezone": "UTC", **every_day,
    }  # fmt: skip


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), _LOCAL).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no time.", hint="Such as 2026-01-31T18:00, in UTC.") from error
