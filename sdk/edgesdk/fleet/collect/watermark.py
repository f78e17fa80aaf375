"""What a device is told, and when: all up to here is stored, so are these above; those are missing, send them again.

The rules:

- Only what is committed is told. Numbers that the device itself declared as gone count as settled.
- It is told when something new is settled: at once after much, else at most a few times a second.
- It is told again when the device shows that it did not hear it: it sends what is settled, or is born anew.
- Missing numbers are asked for when for a while nothing that was missing came: a device that sends its backlog, in
  whatever order, fills the holes by itself.

Pure: values and a clock in, a word out. A word is cumulative, so one that is lost does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edgesdk.fleet.store.coverage import Coverage, Range

# The device begins to send again after about two seconds without progress, so it hears of progress well before.
TELL_EVERY_S = 0.2
MUCH = 200
STUCK_AFTER_S = 3.0
# Doubled each time while nothing comes of it: a device that is gone, or was born anew, is not asked for ever at this rate.
ASK_EVERY_S = 5.0
ASK_AT_LEAST_EVERY_S = 600.0
# So many ranges fit into an acknowledgement; of what is stored the highest, of what is missing the lowest.
MAX_TOLD_RANGES = 256
MAX_ASKED_RANGES = 64


class Word(NamedTuple):
    """One word to a device: everything up to `upto` and in `have` is settled, `want` is missing."""

    upto: int
    have: tuple[Range, ...] = ()
    want: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a device was told of one epoch; all times are seconds of a monotonic clock.

    Attributes:
        count: how many numbers were settled when it was told last; -1 before the first word.
        at: when that was.
        holes: what was missing when last looked, and since when it is so.
        filled_at: when something that was missing came last.
        asked, asked_at: how often missing numbers were asked for since something of them came, and when last.
    """

    count: int = -1
    at: float = -math.inf
    holes: Mapping[Range, float] = field(default_factory=dict)
    filled_at: float = -math.inf
    asked: int = 0
    asked_at: float = -math.inf


class Decision(NamedTuple):
    """What to say now, if anything, and when to look again (`inf`: when something comes)."""

    word: Word | None
    told: Told
    again_at: float


def decide(told: Told, coverage: Coverage, *, repeat: bool, now: float) -> Decision:
    """Decide what to tell one device of one epoch.

    Args:
        told: what it was told so far.
        coverage: what is committed.
        repeat: it shows that it did not hear the last word.
        now: monotonic seconds.
    """
    count = coverage.count
    # A device of which nothing is missing, and was missing, is most of them at most times.
    if coverage.ahead or told.holes:
        told = _looked(told, coverage, now)
    tell_at = _tell_at(told, count - told.count, repeat=repeat)
    ask_at = _ask_at(told)
    if now < min(tell_at, ask_at):
        return Decision(None, told, min(tell_at, ask_at))
    want: tuple[Range, ...] = ()
    asked, asked_at = told.asked, told.asked_at
    if now >= ask_at:
        stuck = (hole for hole, since in told.holes.items() if now >= since + STUCK_AFTER_S)
        want = tuple(sorted(stuck)[:MAX_ASKED_RANGES])
        asked, asked_at = asked + 1, now
    told = Told(count, now, told.holes, told.filled_at, asked, asked_at)
    return Decision(Word(coverage.upto, coverage.ahead[-MAX_TOLD_RANGES:], want), told, _ask_at(told))


def _looked(told: Told, coverage: Coverage, now: float) -> Told:
    """Note which holes are new, and whether an old one was filled, if only in part."""
    holes = {hole: told.holes.get(hole, now) for hole in coverage.holes()}
    filled = any(hole not in holes for hole in told.holes)
    return replace(told, holes=holes, filled_at=now, asked=0) if filled else replace(told, holes=holes)


def _tell_at(told: Told, news: int, *, repeat: bool) -> float:
    if news >= MUCH or told.count < 0:
        return -math.inf
    return told.at + TELL_EVERY_S if news or repeat else math.inf


def _ask_at(told: Told) -> float:
    if not told.holes:
        return math.inf
    quiet = max(min(told.holes.values()), told.filled_at) + STUCK_AFTER_S
    patience_s = min(ASK_EVERY_S * 2.0 ** max(0, told.asked - 1), ASK_AT_LEAST_EVERY_S)
    return max(quiet, told.asked_at + patience_s)


def still_missing(word: Word, coverage: Coverage) -> tuple[Range, ...]:
    """Return the holes of a coverage that lie in what a word asks for, as far as they fit."""
    found = [
        (max(first, wanted[0]), min(last, wanted[1]))
        for first, last in coverage.holes()
        for wanted in word.want
        if first <= wanted[1] and wanted[0] <= last
    ]
    return tuple(sorted(found)[:MAX_ASKED_RANGES])
