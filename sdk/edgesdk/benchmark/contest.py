"""Models side by side: what each costs and gives, which limits it misses, and which are not beaten by any other (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgesdk.benchmark.statistics import Ratio
from edgesdk.size_in_digits import size_in_digits
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.target import Precision, Runtime, Target

FLOATS = (Precision.FP32, Precision.FP16)
# Above this many dB two artifacts answer the same, for the choice.
_AS_GOOD_DB = 60.0


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
    """One artifact, or a model that is not converted.

    Attributes:
        model: the model's name: an INT8 is compared with floats of the same one.
        variant: None of a model that is not converted, which has no time on a device.
        size_bytes: of its files.
        worst_db: its worst group's parity, as measured when it was built.
        status: measured, simulated, or not run.
        ms: median of one inference, timed by turns with the others; or where `device` says.
        figure: by which it is chosen: the task's main figure.
        figures: all figures of the evaluation, by name.
        misses: the limits that it does not keep.
        over: how many times as much as the limit that it misses by most; 1 where it misses none.
        slower_than: name of the float that is faster here, and how many times.
        failure: why it was not timed, or not asked about the pictures.
        device: on which it was timed, and its memory taken; empty for this host.
    """

    name: str
    model: str
    variant: Variant | None
    size_bytes: int
    status: str
    worst_db: float | None = None
    ms: float | None = None
    rss_bytes: int | None = None
    figure: Figure | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    misses: tuple[str, ...] = ()
    over: float = 1.0
    slower_than: tuple[str, Ratio] | None = None
    failure: str = ""
    device: str = ""

    @property
    def fps(self) -> float | None:
        """Pictures a second, one inference at a time."""
        return 1000 / self.ms * (self.variant.pictures if self.variant else 1) if self.ms else None

    @property
    def is_float(self) -> bool:
        return self.variant is None or self.variant.precision in FLOATS

    @property
    def precision(self) -> str:
        """Its precision in a word; of a model that is not converted `source`."""
        return "source" if self.variant is None else self.variant.precision.value

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "model": self.model,
            "variant": self.variant.id if self.variant else None,
            "target": self.variant.target if self.variant else None,
            "runtime": self.variant.runtime.value if self.variant else None,
            "precision": self.precision,
            "status": self.status,
            "device": self.device or None,
            "bytes": self.size_bytes,
            "worst_parity_db": self.worst_db,
            "ms": None if self.ms is None else float(f"{self.ms:.4g}"),
            "fps": None if self.fps is None else float(f"{self.fps:.4g}"),
            "rss_bytes": self.rss_bytes,
            "metric": self.figure.to_json() if self.figure else None,
            "metrics": {name: figure.to_json() for name, figure in self.figures.items()},
            "meets_limits": not self.misses,
            "misses": list(self.misses),
            "slower_than": None
            if self.slower_than is None
            else {"name": self.slower_than[0], **self.slower_than[1].to_json()},
            "failure": self.failure or None,
        }


@dataclass(frozen=True, slots=True)
class Bounds:
    """The user's own limits; None where there is none.

    Attributes:
        least: by the figure's name, what it has to reach.
        most: by the figure's name, what it may not exceed: for errors.
    """

    ms: float | None = None
    size_bytes: int | None = None
    rss_bytes: int | None = None
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)


def worst_parity_db(variant: Variant) -> float | None:
    """Read a variant's worst parity; the report comes from the bundle and may hold anything."""
    worst = variant.parity.get("worst")
    value = worst.get("sqnr_db") if isinstance(worst, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


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
    known = [(v, limit, what, whose) for what, v, limit, whose in limits if v is not None and limit is not None]
    misses = [
        (f"{_amount(v, what)} > {_amount(limit, what)} ({whose})", _times(v, limit))
        for v, limit, what, whose in known
        if v > limit
    ]
    misses += _missed_figures(entry, bounds)
    return replace(
        entry, misses=tuple(text for text, _ in misses), over=max((times for _, times in misses), default=1.0)
    )


def _missed_figures(entry: Entry, bounds: Bounds) -> list[tuple[str, float]]:
    """Return what it misses of the figures that were asked for, in words, and how many times."""
    missed = []
    for name, limit in bounds.least.items():
        value = entry.figures[name].value if name in entry.figures else math.nan
        # What is not defined reaches nothing.
        if not value >= limit:
            missed.append((f"{name} {value:.4f} < {limit:g} (--min-metric)", _times(limit, value)))
    for name, limit in bounds.most.items():
        value = entry.figures[name].value if name in entry.figures else math.nan
        if not value <= limit:
            missed.append((f"{name} {value:.4f} > {limit:g} (--max-metric)", _times(value, limit)))
    return missed


def _times(more: float, less: float) -> float:
    return more / less if less > 0 and math.isfinite(more) else math.inf


def _amount(value: float, what: str) -> str:
    return f"{size_in_digits(value)} {what}" if what else f"{value:.3g} ms"


def with_faster_floats(entries: Sequence[Entry], ratio: Callable[[str, str], Ratio]) -> list[Entry]:
    """Mark each INT8 that is slower than a float of the same model, of its own runtime where there is one.

    Args:
        ratio: how many times as long one takes as another that was timed on the same machine, by their names.
    """
    return [replace(entry, slower_than=_faster_float(entry, entries, ratio)) for entry in entries]


def _faster_float(
    entry: Entry, entries: Sequence[Entry], ratio: Callable[[str, str], Ratio]
) -> tuple[str, Ratio] | None:
    if entry.is_float or entry.ms is None:
        return None
    floats = [
        e for e in entries if e.is_float and e.ms is not None and (e.model, e.device) == (entry.model, entry.device)
    ]
    own = [e for e in floats if _runtime(e) is _runtime(entry)] or floats
    best = min(own, key=lambda e: e.ms or 0.0, default=None)
    if best is None:
        return None
    taken = ratio(entry.name, best.name)
    return (best.name, taken) if taken.slower else None


def _runtime(entry: Entry) -> Runtime | None:
    return entry.variant.runtime if entry.variant else None


def timed_alike(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose times compare: those of the device where some were timed on one, else those of this host."""
    timed = [entry for entry in entries if entry.ms is not None]
    return [entry for entry in timed if entry.device] or timed


def front(entries: Sequence[Entry]) -> list[str]:
    """Return the names that no other beats in time, size and quality at once: Pareto's front, fastest first.

    Quality is the metric; where that is not known, the parity, as far as it matters.
    """
    timed = sorted(timed_alike(entries), key=lambda e: e.ms or 0.0)
    points = {e.name: (e.ms or 0.0, float(e.size_bytes), _loss(e)) for e in timed}
    return [e.name for e in timed if not any(_beats(other, points[e.name]) for other in points.values())]


def _loss(entry: Entry) -> float:
    if entry.figure is not None:
        return entry.figure.loss
    return -min(entry.worst_db if entry.worst_db is not None else 0.0, _AS_GOOD_DB)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
