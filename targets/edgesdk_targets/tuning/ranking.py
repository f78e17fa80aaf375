"""Which of the measured settings to take, and why (pure).

Settings that differ by less than a measurement can tell are the same; among them the one that costs less is taken: for
a live camera the one with less processor time, and generally the float before INT8, as it is nearer to what was trained.
So an INT8 that is not faster is never taken.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesdk_targets.target import Precision
from edgesdk_targets.tuning.setting import AT_WORK, Hint, Measured

_FLOATS = (Precision.FP32, Precision.FP16)
# Costs that differ by no more than this are the same. For a live camera a little more is given for less work; measured once more it
# may be another hundredth, and tuning is to stay within 5 % of the best.
SAME = 0.03
FRUGAL = 0.04
# So much a pinned setting may be dearer than the same one unpinned: in a pipeline, whose other threads push free ones from core to
# core, it makes more pictures (docs/decisions/0021).
PINNED = 0.04
_WHAT = {
    Hint.LATENCY: "the quickest answer",
    Hint.THROUGHPUT: "the most pictures a second",
    Hint.AGE: "young answers for little work",
}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Settings, the one to take first.

    Attributes:
        why: one sentence on the first.
        notes: what else is worth saying, a sentence each.
    """

    order: tuple[Measured, ...]
    why: str
    notes: tuple[str, ...]


def ranked(measured: Sequence[Measured], hint: Hint, *, left_out: int = 0) -> Ranking:
    """Rank at least one setting.

    Args:
        left_out: settings that were not measured for lack of time.
    """
    most = max(len(one.rounds) for one in measured)
    # Only what was timed by turns to the end can win: one dropped early saw another moment of the machine.
    finalists = sorted((one for one in measured if len(one.rounds) >= most - 1), key=lambda one: one.cost(hint))
    best = finalists[0]
    alike = [one for one in finalists if times_as_dear(one, best, hint) <= 1 + _margin(one, best, hint)]
    first = min(alike, key=lambda one: _preference(one, hint))
    rest = [one for one in measured if one not in finalists]
    order = (
        first,
        *(one for one in finalists if one is not first),
        *sorted(rest, key=lambda one: one.least_cost(hint)),
    )
    return Ranking(order, _why(order, hint, left_out), (*_others_at_work(first, hint), *_slower_int8(measured, hint)))


def _margin(one: Measured, best: Measured, hint: Hint) -> float:
    if hint is Hint.AGE:
        return FRUGAL
    pinned = hint is Hint.THROUGHPUT and one.setting == replace(best.setting, pin=True)
    return PINNED if pinned else SAME


def times_as_dear(one: Measured, other: Measured, hint: Hint) -> float:
    """Return how many times the other's cost one has: the median over the rounds that both took part in."""
    shared = range(min(len(one.rounds), len(other.rounds)))
    return statistics.median(
        one.cost(hint, slice(place, place + 1)) / other.cost(hint, slice(place, place + 1)) for place in shared
    )


def _preference(one: Measured, hint: Hint) -> tuple[float, ...]:
    """Smaller is taken; pinned before not, as a pipeline's other threads move those that are free."""
    is_int8, free = one.setting.precision not in _FLOATS, not one.setting.pin
    if hint is Hint.AGE:
        return (one.cpu_ms, is_int8, free)
    return (is_int8, free, one.cpu_ms)


def _why(order: Sequence[Measured], hint: Hint, left_out: int) -> str:
    first = order[0]
    rate = f"{first.fps:.0f}" if first.fps >= 100 else f"{first.fps:.3g}"
    told = f"{first.setting}: {first.ms:.3g} ms, {rate} a second, {first.cpu_ms:.3g} ms of processor time each"
    if len(order) == 1:
        return f"{told}; {'there was no time to measure another' if left_out else 'nothing else was to be measured'}"
    other = order[1]
    times = times_as_dear(other, first, hint)
    if times > 1 + SAME:
        return f"{told}; {_WHAT[hint]} of {len(order)} settings, {times:.2f} times as good as {other.setting}"
    reason = "nearer to what was trained"
    if hint is Hint.AGE:
        reason = "with less processor time"
    elif first.setting == replace(other.setting, pin=True):
        reason = "and a pipeline's other threads do not move pinned ones"
    elif first.setting.precision is other.setting.precision:
        reason = "and one of them had to be taken"
    return f"{told}; of {len(order)} settings as good as {other.setting}, {reason}"


def _others_at_work(first: Measured, hint: Hint) -> list[str]:
    """Say so where the machine was not this process's alone, and what that means for the figures."""
    if first.others < AT_WORK:
        return []
    meant = "rates are compared as if it had not been" if hint is Hint.THROUGHPUT else "alone it is quicker"
    return [f"other work kept {first.others:.1f} cores busy meanwhile; {meant}"]


def _slower_int8(measured: Sequence[Measured], hint: Hint) -> list[str]:
    """Say of each INT8 variant that is not faster than the best float of the same runtime."""
    if hint is Hint.AGE:
        # Of the model alone: a camera's period is the same for both.
        hint = Hint.LATENCY
    told = []
    best: dict[str, Measured] = {}
    for one in measured:
        kept = best.get(one.setting.variant)
        if kept is None or one.cost(hint) < kept.cost(hint):
            best[one.setting.variant] = one
    for one in best.values():
        if one.setting.precision in _FLOATS:
            continue
        floats = [
            other
            for other in best.values()
            if other.setting.precision in _FLOATS and other.setting.runtime is one.setting.runtime
        ]
        if not floats:
            continue
        fastest = min(floats, key=lambda other: other.cost(hint))
        times = times_as_dear(one, fastest, hint)
        if times > 1 - SAME:
            said = "slower" if times > 1 + SAME else "no faster"
            told.append(
                f"{one.setting.variant} is {said} here than {fastest.setting.variant}: "
                f"{one.cost(hint):.3g} ms against {fastest.cost(hint):.3g} ms"
            )
    return told
