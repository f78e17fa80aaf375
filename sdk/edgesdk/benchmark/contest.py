"""Artifacts side by side: what each costs and gives, which are not beaten by any other, and which one to take (pure).

The rules of choice, in this order: it ran here; it keeps within the limits; it is no INT8 that is slower than the
float of the same model; its figure is not further below the best one than is allowed; then the fastest, and among those
that cannot be told apart by speed, the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edgesdk.benchmark.statistics import Ratio
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.target import Precision, Target

FLOATS = (Precision.FP32, Precision.FP16)
# Two times that differ by less are the same.
_SAME_SPEED = 1.03
# Above this many dB two artifacts answer the same, for the choice.
_AS_GOOD_DB = 60.0
_WORSE = "worse than the best"


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric with its 95 % interval.

    Attributes:
        higher_is_better: False for errors.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool = True

    @property
    def loss(self) -> float:
        """The value turned so that less is better."""
        return -self.value if self.higher_is_better else self.value

    def text(self) -> str:
        between = "undefined" if math.isnan(self.low) else f"{self.low:.4f} … {self.high:.4f}"
        return f"{self.value:.4f} ({between})"

    def to_json(self) -> dict[str, object]:
        ends = {name: getattr(self, name) for name in ("value", "low", "high")}
        rounded = {name: None if math.isnan(end) else round(end, 6) for name, end in ends.items()}
        return {"name": self.name, **rounded, "n": self.n}


@dataclass(frozen=True, slots=True)
class Entry:
    """One artifact.

    Attributes:
        model: the model's name: an INT8 is compared with floats of the same one.
        size_bytes: of its files.
        worst_db: its worst group's parity, as measured when it was built.
        status: measured, simulated, or not run.
        ms: median of one inference, timed by turns with the others.
        misses: the limits that it does not keep.
        slower_than: name of the float that is faster here, and how many times.
        failure: why it was not timed.
    """

    name: str
    model: str
    variant: Variant
    size_bytes: int
    status: str
    worst_db: float | None = None
    ms: float | None = None
    rss_bytes: int | None = None
    figure: Figure | None = None
    misses: tuple[str, ...] = ()
    slower_than: tuple[str, Ratio] | None = None
    failure: str = ""

    @property
    def fps(self) -> float | None:
        """Inferences a second, one at a time."""
        return 1000 / self.ms if self.ms else None

    @property
    def is_float(self) -> bool:
        return self.variant.precision in FLOATS

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "model": self.model,
            "variant": self.variant.id,
            "target": self.variant.target,
            "runtime": self.variant.runtime.value,
            "precision": self.variant.precision.value,
            "status": self.status,
            "bytes": self.size_bytes,
            "worst_parity_db": self.worst_db,
            "ms": None if self.ms is None else float(f"{self.ms:.4g}"),
            "fps": None if self.fps is None else float(f"{self.fps:.4g}"),
            "rss_bytes": self.rss_bytes,
            "metric": self.figure.to_json() if self.figure else None,
            "meets_limits": not self.misses,
            "misses": list(self.misses),
            "slower_than": None
            if self.slower_than is None
            else {"name": self.slower_than[0], **self.slower_than[1].to_json()},
            "failure": self.failure or None,
        }


@dataclass(frozen=True, slots=True)
class Bounds:
    """The user's own limits; None where there is none."""

    ms: float | None = None
    size_bytes: int | None = None
    rss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """Which artifact to take, and why; `name` is None where none will do."""

    name: str | None
    why: str
    passed_over: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "why": self.why, "passed_over": list(self.passed_over)}


def worst_parity_db(variant: Variant) -> float | None:
    """Read a variant's worst parity; the report comes from the bundle and may hold anything."""
    worst = variant.parity.get("worst")
    value = worst.get("sqnr_db") if isinstance(worst, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def size_of(manifest: Manifest, variant: Variant) -> int:
    """Return the bytes of a variant's files."""
    return sum(manifest.files[path].size for path in set(variant.files.values()))


def judged(entry: Entry, target: Target | None, bounds: Bounds) -> Entry:
    """Return the entry with the limits that it misses, the target's and the user's."""
    limits: list[tuple[str, float | None, float | None, str]] = [
        ("", entry.ms, bounds.ms, "--max-ms"),
        ("of files", entry.size_bytes, bounds.size_bytes, "--max-bytes"),
        ("of memory", entry.rss_bytes, bounds.rss_bytes, "--max-rss"),
    ]
    if target is not None:
        limits += [
            ("of files", entry.size_bytes, target.max_bundle_bytes, f"the limit of {target.name}"),
            ("of memory", entry.rss_bytes, target.memory_bytes, f"the memory of {target.name}"),
        ]
    misses = [
        f"{_amount(value, what)} > {_amount(limit, what)} ({whose})"
        for what, value, limit, whose in limits
        if value is not None and limit is not None and value > limit
    ]
    return replace(entry, misses=tuple(misses))


def _amount(value: float, what: str) -> str:
    return f"{value / 1e6:.4g} MB {what}" if what else f"{value:.3g} ms"


def with_faster_floats(entries: Sequence[Entry], ratio: Callable[[str, str], Ratio]) -> list[Entry]:
    """Mark each INT8 that is slower than a float of the same model, of its own runtime where there is one.

    Args:
        ratio: how many times as long one takes as another, by their names.
    """
    return [replace(entry, slower_than=_faster_float(entry, entries, ratio)) for entry in entries]


def _faster_float(
    entry: Entry, entries: Sequence[Entry], ratio: Callable[[str, str], Ratio]
) -> tuple[str, Ratio] | None:
    if entry.is_float or entry.ms is None:
        return None
    floats = [e for e in entries if e.is_float and e.ms is not None and e.model == entry.model]
    own = [e for e in floats if e.variant.runtime is entry.variant.runtime] or floats
    best = min(own, key=lambda e: e.ms or 0.0, default=None)
    if best is None:
        return None
    taken = ratio(entry.name, best.name)
    return (best.name, taken) if taken.slower else None


def front(entries: Sequence[Entry]) -> list[str]:
    """Return the names that no other beats in time, size and quality at once: Pareto's front, fastest first.

    Quality is the metric; where that is not known, the parity, as far as it matters.
    """
    timed = sorted((e for e in entries if e.ms is not None), key=lambda e: e.ms or 0.0)
    points = {e.name: (e.ms or 0.0, float(e.size_bytes), _loss(e)) for e in timed}
    return [e.name for e in timed if not any(_beats(other, points[e.name]) for other in points.values())]


def _loss(entry: Entry) -> float:
    if entry.figure is not None:
        return entry.figure.loss
    return -min(entry.worst_db if entry.worst_db is not None else 0.0, _AS_GOOD_DB)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def pick(entries: Sequence[Entry], *, max_drop: float) -> Pick:
    """Choose one artifact.

    Args:
        max_drop: how far below the best its figure may be.
    """
    passed_over: list[str] = []
    figures = [e.figure.loss for e in entries if e.figure is not None]
    good = []
    for entry in entries:
        if reason := _unfit(entry, min(figures, default=None), max_drop):
            passed_over.append(f"{entry.name}: {reason}")
        else:
            good.append(entry)
    if not good:
        return Pick(None, _none_fits(entries, passed_over), tuple(passed_over))
    fastest = min(good, key=lambda e: e.ms or 0.0)
    alike = [e for e in good if (e.ms or 0.0) <= (fastest.ms or 0.0) * _SAME_SPEED]
    best = min(alike, key=lambda e: (e.size_bytes, e.ms))
    return Pick(best.name, _reason(best, fastest, len(good)), tuple(passed_over))


def _unfit(entry: Entry, best_loss: float | None, max_drop: float) -> str:
    if entry.ms is None:
        return entry.failure or "it was not timed"
    if entry.misses:
        return "; ".join(entry.misses)
    if entry.slower_than is not None:
        name, taken = entry.slower_than
        return f"takes {taken.value:.2f} times as long as the float {name} on this host"
    if best_loss is not None and entry.figure is not None and entry.figure.loss - best_loss > max_drop:
        drop = entry.figure.loss - best_loss
        return f"{entry.figure.name} is {drop:.4f} {_WORSE} ({max_drop:g} allowed)"
    return ""


def _none_fits(entries: Sequence[Entry], reasons: Sequence[str]) -> str:
    """Say that there is nothing to take, and what to do."""
    if all(entry.ms is None for entry in entries):
        return "None ran here: `edgesdk doctor` says which runtimes are missing."
    said = "\n".join(reasons)
    mine = [option for option in ("--max-ms", "--max-bytes", "--max-rss") if f"({option})" in said]
    if _WORSE in said:
        mine.append("--max-drop")
    allow = f"Allow more with {' or '.join(mine)}, or convert" if mine else "Convert"
    return f"None ran here within the limits. {allow} with --precision int8, or a model with a smaller input."


def _reason(best: Entry, fastest: Entry, among: int) -> str:
    if among == 1:
        why = "the only one that fits"
    elif best is fastest:
        why = f"the fastest of the {among} that fit, {best.ms:.3g} ms"
    else:
        why = f"as fast as the fastest of the {among} that fit ({best.ms:.3g} ms), and smaller"
    if best.figure is None:
        why += "; its accuracy was not measured (--data)"
    if best.status == "simulated":
        why += f"; timed on this host, not on {best.variant.target}"
    return why
