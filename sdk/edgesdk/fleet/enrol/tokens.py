"""Tokens by which a device claims its identity: random, shown once, kept only as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta

from edgesdk_targets.errors import InputError

# 32 letters and digits without those that look alike; 26 of them are 130 bits.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_LENGTH = 26
_PREFIX = "enrol-"
SHOWN = len(_PREFIX) + 4
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
MAX_TTL = timedelta(days=90)


def new_token() -> str:
    """Make a token; whoever has it may become the device that it is for."""
    return _PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def token_hash(token: str) -> str:
    """Return what is kept of a token. It is random enough that a quick hash cannot be searched."""
    return hashlib.sha256(token.strip().encode()).hexdigest()


def read_ttl(text: str) -> timedelta:
    """Read how long a token holds, such as `30m`, `24h` or `7d`.

    Raises:
        InputError: it is no such time, or longer than 90 days.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text.strip())
    if match is None:
        raise InputError(f"{text[:40]!r} is no time that a token holds.", hint="Such as 30m, 24h or 7d.")
    ttl = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if ttl > MAX_TTL:
        raise InputError(f"{text} is longer than a token may hold.", hint="At most 90d.")
    return ttl
