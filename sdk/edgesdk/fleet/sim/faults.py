"""Which devices misbehave, and how: a share of the fleet for each fault, the same devices for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

from edgesdk_targets.errors import InputError

# A clock without a battery, one in the wrong zone, one that is set by hand.
_CLOCKS_OFF_MS = (-946_684_800_000, -7_200_000, 3_600_000, 90_000, -90_000)


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the fleet has which fault, 0 to 1.

    Attributes:
        disconnect: loses its connection without a word, again and again.
        duplicate: says everything twice.
        malformed: says what nobody can read, between its reports.
        clock: is wrong about the time.
        slow: reads what it is told seconds late.
    """

    disconnect: float = 0.0
    duplicate: float = 0.0
    malformed: float = 0.0
    clock: float = 0.0
    slow: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Shares:
        """Read `disconnect=0.1,slow=0.05`.

        Raises:
            InputError: a name or a share is none.
        """
        known = [field.name for field in fields(cls)]
        shares: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, number = part.partition("=")
            try:
                share = float(number)
            except ValueError:
                share = -1.0
            if name not in known or not 0 <= share <= 1:
                raise InputError(
                    f"{part[:60]!r} is no share of a fault.",
                    hint=f"Write a name, = and a part from 0 to 1, with commas: {', '.join(known)}.",
                )
            shares[name] = share
        return cls(**shares)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with one device; `clock_off_ms` is added to its time."""

    disconnects: bool = False
    duplicates: bool = False
    malformed: bool = False
    clock_off_ms: int = 0
    slow: bool = False

    @classmethod
    def draw(cls, shares: Shares, chance: random.Random) -> Faults:
        """Draw what is wrong with a device; each fault by itself, so a device may have several."""
        drawn = [chance.random() for _ in range(5)]
        off = chance.choice(_CLOCKS_OFF_MS)
        return cls(
            drawn[0] < shares.disconnect,
            drawn[1] < shares.duplicate,
            drawn[2] < shares.malformed,
            off if drawn[3] < shares.clock else 0,
            drawn[4] < shares.slow,
        )


def malformed_payload(good: bytes, chance: random.Random) -> bytes:
    """Return something that nobody can read, made of something that everybody can: its number is never readable."""
    kind = chance.randrange(5)
    if kind == 0:
        return good[: chance.randrange(1, len(good) // 2)]
    if kind == 1:
        return bytes(chance.randrange(256) for _ in range(40))
    if kind == 2:
        return b"[" * 2000
    if kind == 3:
        return b'{"schema":"result/9"}'
    return b""
