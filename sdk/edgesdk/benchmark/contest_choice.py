"""Which of several models to take, and why (pure).

The rules of choice, in this order: it was timed, and where some were timed on a device, there; it keeps within the limits; it is
no INT8 that is slower than the float of the same model; its figure is not further below the best one than is allowed; then the
fastest, and among those that cannot be told apart by speed, the smallest. Where something else than speed is preferred, that
decides last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgesdk.benchmark.contest import Entry

Prefer = Literal["speed", "metric", "size", "memory"]
PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)
# Two times that differ by less are the same.
_SAME_SPEED = 1.03
_WORSE = "worse than the best"
_OF_FIGURES = ("--min-metric", "--max-metric")
_OPTIONS = ("--max-ms", "--max-bytes", "--max-rss", *_OF_FIGURES)
_CHEAPER = "convert with --precision int8, or a model with a smaller input"


@dataclass(frozen=True, slots=True)
class Pick:
    """Which artifact to take, and why; `name` is None where none will do."""

    name: str | None
    why: str
    passed_over: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "why": self.why, "passed_over": list(self.passed_over)}


def pick(entries: Sequence[Entry], *, max_drop: float, prefer: Prefer = "speed") -> Pick:
    """Choose one artifact.

    Args:
        max_drop: how far below the best its figure may be.
        prefer: what decides among those that fit.
    """
    passed_over: list[str] = []
    figures = [e.figure.loss for e in entries if e.figure is not None]
    device = next((e.device for e in entries if e.device), "")
    good = []
    for entry in entries:
        if reason := _unfit(entry, min(figures, default=None), max_drop, device):
            passed_over.append(f"{entry.name}: {reason}")
        else:
            good.append(entry)
    if not good:
        return Pick(None, _none_fits(entries, passed_over), tuple(passed_over))
    if prefer != "speed":
        best = min(good, key=lambda e: (*_PREFERRED[prefer](e), e.ms))
        return Pick(best.name, _most(best, len(good), prefer), tuple(passed_over))
    fastest = min(good, key=lambda e: e.ms or 0.0)
    alike = [e for e in good if (e.ms or 0.0) <= (fastest.ms or 0.0) * _SAME_SPEED]
    best = min(alike, key=lambda e: (e.size_bytes, e.ms))
    return Pick(best.name, _reason(best, fastest, len(good)), tuple(passed_over))


def _unfit(entry: Entry, best_loss: float | None, max_drop: float, device: str) -> str:
    if entry.ms is None:
        return entry.failure or "it was not timed"
    if entry.device != device:
        return f"it was timed on this host, and others on {device}"
    if entry.misses:
        return "; ".join(entry.misses)
    if entry.slower_than is not None:
        name, taken = entry.slower_than
        return f"takes {taken.value:.2f} times as long as the float {name} on {entry.device or 'this host'}"
    if best_loss is not None and entry.figure is None:
        return f"its accuracy is not known: {entry.failure or 'it was not asked'}"
    if best_loss is not None and entry.figure is not None and entry.figure.loss - best_loss > max_drop:
        drop = entry.figure.loss - best_loss
        return f"{entry.figure.name} is {drop:.4f} {_WORSE} ({max_drop:g} allowed)"
    return ""


def _none_fits(entries: Sequence[Entry], reasons: Sequence[str]) -> str:
    """Say that there is nothing to take, how near the nearest came, and what to do."""
    if all(entry.variant is None for entry in entries):
        return "None is converted, and only what is can be deployed: `edgesdk convert` makes a bundle of each."
    if all(entry.ms is None for entry in entries):
        return "None ran here: `edgesdk doctor` says which runtimes are missing."
    said = "\n".join(reasons)
    mine = [option for option in _OPTIONS if f"({option})" in said]
    if _WORSE in said:
        mine.append("--max-drop")
    figures = bool(mine) and all(option in _OF_FIGURES for option in mine)
    remedy = "take a model that is more accurate" if figures else _CHEAPER
    advice = f"Allow more with {' or '.join(mine)}, or {remedy}." if mine else f"{remedy.capitalize()}."
    where = next((f"on {entry.device}" for entry in entries if entry.device), "here")
    return f"None ran {where} within the limits.{_nearest(entries)} {advice}"


def _nearest(entries: Sequence[Entry]) -> str:
    """Say which one misses its limits by least, and what stands in the way."""
    missed = [entry for entry in entries if entry.misses and math.isfinite(entry.over)]
    if not missed:
        return ""
    best = min(missed, key=lambda entry: entry.over)
    return f" {best.name} came nearest, {best.over:.3g} times its limit: {'; '.join(best.misses)}."


def _most(best: Entry, among: int, prefer: Prefer) -> str:
    if among == 1:
        return "the only one that fits" + _reserve(best)
    what = {
        "metric": f"the best {best.figure.name}, {best.figure.value:.4f}," if best.figure else "",
        "size": f"the smallest, {best.size_bytes / 1e6:.3g} MB,",
        "memory": f"the least memory, {(best.rss_bytes or 0) / 1e6:.0f} MB,",
    }
    return f"{what[prefer]} of the {among} that fit" + _reserve(best)


def _reason(best: Entry, fastest: Entry, among: int) -> str:
    if among == 1:
        why = "the only one that fits"
    elif best is fastest:
        why = f"the fastest of the {among} that fit, {best.ms:.3g} ms"
    else:
        why = f"as fast as the fastest of the {among} that fit ({best.ms:.3g} ms), and smaller"
    return why + _reserve(best)


def _reserve(best: Entry) -> str:
    """Say what is not known of the one that is taken."""
    why = "" if best.figure is not None else "; its accuracy was not measured (--data)"
    if best.status == "simulated" and best.variant is not None:
        why += f"; timed on this host, not on {best.variant.target}"
    if best.device:
        why += f"; timed on {best.device}"
    return why


_PREFERRED: dict[str, Callable[[Entry], tuple[float, ...]]] = {
    "metric": lambda e: (e.figure.loss if e.figure else 0.0,),
    "size": lambda e: (e.size_bytes,),
    "memory": lambda e: (e.rss_bytes or math.inf,),
}
