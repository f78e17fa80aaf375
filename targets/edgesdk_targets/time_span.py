"""How long something lasts, as a person writes it: `1h`, `20m`, `90s`, `7d`, or `90` seconds."""

from __future__ import annotations

import re

from edgesdk_targets.errors import InputError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """Read a span, and return its seconds. Raises InputError."""
    found = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhd]?)", text.strip())
    if found is None:
        raise InputError(f"{text[:40]!r} is no time.", hint="Such as 1h, 20m or 90s.")
    return float(found[1]) * _UNITS[found[2]]
