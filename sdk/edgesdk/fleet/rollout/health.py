"""Does a device do worse with the new model than before? Figures of two times go in, reasons in words come out. Pure.

A device is compared with itself, and what changed for devices that were not touched meanwhile is taken off: a hot
afternoon, an evening without people and a slow network come to all of them.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edgesdk.fleet.rollout.policy import HealthLimits

# Fewer tell nothing of what changed for everybody; and of a distribution.
LEAST_CONTROLS = 3
_LEAST_RESULTS = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What a device did over some time: medians of its samples.

    Attributes:
        samples: how many these are.
        restarts: how often the agent began anew.
        results: how many results were looked at; seen: how often each label, or that there was none.
    """

    samples: int = 0
    fps: float | None = None
    age_p95_ms: float | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None
    temperature_c: float | None = None
    restarts: int = 0
    results: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """One device before and after."""

    before: Figures
    after: Figures


def why_worse(one: Compared, controls: Sequence[Compared], limits: HealthLimits) -> str:
    """Return in what a device does worse than it may, in words; empty where it does not."""
    before, after = one.before, one.after
    found = [
        _less("frames a second", before.fps, after.fps, limits.fps, _drift(controls, lambda f: f.fps)),
        *(
            _more(name, read(before), read(after), limit, slack, _drift(controls, read), unit)
            for name, read, limit, slack, unit in (
                ("age of results", _age, limits.age_p95, limits.age_slack_ms, "ms"),
                ("latency", _latency, limits.latency, limits.latency_slack_ms, "ms"),
                ("memory", _memory, limits.memory, limits.memory_slack_mb, "MB"),
            )
        ),
        _warmer(before, after, controls, limits.temperature_c),
        _restarts(before, after, limits.restarts),
        _other_results(one, controls, limits.results),
    ]
    return "; ".join(filter(None, found))


def distance(before: Figures, after: Figures) -> float | None:
    """Return how far the shares of what is seen moved, 0 to 1; None where there were too few results."""
    if min(before.results, after.results) < _LEAST_RESULTS:
        return None
    first, second = Counter(before.seen), Counter(after.seen)
    ones, others = max(1, first.total()), max(1, second.total())
    return sum(abs(first[label] / ones - second[label] / others) for label in first | second) / 2


def _age(figures: Figures) -> float | None:
    return figures.age_p95_ms


def _latency(figures: Figures) -> float | None:
    return figures.latency_ms


def _memory(figures: Figures) -> float | None:
    return figures.memory_mb


def _drift(controls: Sequence[Compared], read: Callable[[Figures], float | None]) -> float:
    """Return how many times as much a figure is, at the untouched devices' median; 1 where they are too few."""
    ratios = []
    for one in controls:
        before, after = read(one.before), read(one.after)
        if before and after is not None:
            ratios.append(after / before)
    return statistics.median(ratios) if len(ratios) >= LEAST_CONTROLS else 1.0


def _less(name: str, before: float | None, after: float | None, limit: float, drift: float) -> str:
    if not limit or not before:
        return ""
    # A device that brought frames and brings none says null.
    now = after or 0.0
    # What fell for everybody is nobody's fault; what rose for everybody is not asked of one.
    expected = before * min(1.0, drift)
    return f"{name} {before:.4g} → {now:.4g}" if now < limit * expected else ""


def _more(
    name: str, before: float | None, after: float | None, limit: float, slack: float, drift: float, unit: str
) -> str:
    if not limit or before is None or after is None:
        return ""
    expected = before * max(1.0, drift)
    worse = after > limit * expected and after - expected > slack
    return f"{name} {before:.4g} → {after:.4g} {unit}" if worse else ""


def _warmer(before: Figures, after: Figures, controls: Sequence[Compared], limit: float) -> str:
    if not limit or before.temperature_c is None or after.temperature_c is None:
        return ""
    risen = [
        one.after.temperature_c - one.before.temperature_c
        for one in controls
        if one.before.temperature_c is not None and one.after.temperature_c is not None
    ]
    usual = max(0.0, statistics.median(risen)) if len(risen) >= LEAST_CONTROLS else 0.0
    worse = after.temperature_c - before.temperature_c - usual > limit
    return f"temperature {before.temperature_c:.3g} → {after.temperature_c:.3g} °C" if worse else ""


def _restarts(before: Figures, after: Figures, limit: int) -> str:
    if not limit or after.restarts <= max(limit, before.restarts):
        return ""
    return f"{after.restarts} restarts"


def _other_results(one: Compared, controls: Sequence[Compared], limit: float) -> str:
    moved = distance(one.before, one.after)
    if not limit or moved is None:
        return ""
    others = [far for control in controls if (far := distance(control.before, control.after)) is not None]
    usual = statistics.median(others) if len(others) >= LEAST_CONTROLS else 0.0
    if moved - usual <= limit:
        return ""
    shares = {name: (_share(one.before, name), _share(one.after, name)) for name in {*one.before.seen, *one.after.seen}}
    label, (was, is_now) = max(shares.items(), key=lambda item: abs(item[1][0] - item[1][1]))
    return f"other results: {label or 'nothing'} {was:.0%} → {is_now:.0%} of what is seen"


def _share(figures: Figures, label: str) -> float:
    total = sum(figures.seen.values())
    return figures.seen.get(label, 0) / total if total else 0.0
