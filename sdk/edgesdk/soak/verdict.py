"""Pass or fail, line by line, from a recording alone; a recording of a faulty agent must fail, and tests see to it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgesdk.soak.series import Recording, SoakSample
from edgesdk.soak.slope import growth_of

Outcome = Literal["pass", "fail", "not measured"]
_WARM_UP_SHARE = 0.25
_FEWEST_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is allowed.

    Attributes:
        age_ms: for 95 of 100 results, in the median of the seconds in which nothing was broken.
        recovery_s: after an injection's end, until every camera has results.
        rss_growth_bytes: over an agent's life after its warm-up, beyond noise.
        fds, threads: more at the end of a life than at its beginning.
    """

    age_ms: float = 1000.0
    recovery_s: float = 60.0
    rss_growth_bytes: float = 4e6
    fds: int = 3
    threads: int = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the verdict."""

    check: str
    outcome: Outcome
    figure: str
    bound: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def verdict(recording: Recording, bounds: Bounds) -> list[Line]:
    """Return every check of a soak."""
    return [
        _age(recording, bounds),
        _memory(recording, bounds),
        _constant(recording, "file descriptors", lambda sample: sample.fds, bounds.fds),
        _constant(recording, "threads", lambda sample: sample.threads, bounds.threads),
        _recovery(recording, bounds),
        _cameras(recording),
        _ledger(recording),
        _ends(recording),
    ]


def passed(lines: Sequence[Line]) -> bool:
    """Say whether nothing failed."""
    return all(line.outcome != "fail" for line in lines)


def _age(recording: Recording, bounds: Bounds) -> Line:
    quiet = [s.age_p95_ms for s in recording.samples if s.age_p95_ms is not None and _is_quiet(recording, s.at_s)]
    bound = f"≤ {bounds.age_ms:.0f} ms"
    if not quiet:
        return Line("age", "fail", "no result while nothing was broken", bound)
    middle = statistics.median(quiet)
    return Line("age", _outcome(middle <= bounds.age_ms), f"p95 {middle:.0f} ms in the median second", bound)


def _is_quiet(recording: Recording, at_s: float) -> bool:
    return not any(one.began_s <= at_s <= one.ended_s + (one.recovered_s or 0.0) + 2.0 for one in recording.injected)


def _memory(recording: Recording, bounds: Bounds) -> Line:
    bound = f"≤ {bounds.rss_growth_bytes / 1e6:.1f} MB beyond noise"
    grown = [growth_of([s.at_s for s in life], [float(s.rss_bytes) for s in life]) for life in _warm_lives(recording)]
    if not grown:
        return Line("memory growth", "not measured", "no agent lived long enough", bound)
    worst = max(grown, key=lambda one: one.over_series - one.noise)
    figure = (
        f"{worst.over_series / 1e6:+.2f} MB ({worst.per_hour / 1e6:+.1f} MB an hour), noise {worst.noise / 1e6:.2f} MB"
    )
    return Line("memory growth", _outcome(not worst.is_growth(bounds.rss_growth_bytes)), figure, bound)


def _constant(recording: Recording, what: str, value: Callable[[SoakSample], int], allowed: int) -> Line:
    bound = f"≤ +{allowed}"
    more = []
    for life in _warm_lives(recording):
        part = max(2, len(life) // 4)
        first, last = (statistics.median(map(value, some)) for some in (life[:part], life[-part:]))
        more.append(last - first)
    if not more:
        return Line(what, "not measured", "no agent lived long enough", bound)
    return Line(what, _outcome(max(more) <= allowed), f"{max(more):+.0f}", bound)


def _warm_lives(recording: Recording) -> list[list[SoakSample]]:
    """Return the samples of each agent after its start and its warm-up."""
    running = [_running(life, recording.cameras) for life in recording.lives()]
    lives = [life[int(len(life) * _WARM_UP_SHARE) :] for life in running]
    return [life for life in lives if len(life) >= _FEWEST_SAMPLES]


def _running(life: list[SoakSample], cameras: Sequence[str]) -> list[SoakSample]:
    """Return a life from its first results on: while it imports, connects and opens, a healthy agent takes more by the second.

    From those of every camera, where every one has some; how long the start takes depends on what else the machine does.
    """
    for enough in (all, any):
        for number, sample in enumerate(life):
            if enough(sample.processed.get(name, 0) for name in cameras):
                return life[number:]
    return []


def _recovery(recording: Recording, bounds: Bounds) -> Line:
    bound = f"≤ {bounds.recovery_s:.0f} s"
    if not recording.injected:
        return Line("recovery", "not measured", "nothing was broken", bound)
    never = [one.name for one in recording.injected if one.recovered_s is None]
    if never:
        return Line("recovery", "fail", f"never after {', '.join(never)}", bound)
    slowest = max(recording.injected, key=lambda one: one.recovered_s or 0.0)
    took = slowest.recovered_s or 0.0
    return Line("recovery", _outcome(took <= bounds.recovery_s), f"{took:.1f} s at most, after {slowest.name}", bound)


def _cameras(recording: Recording) -> Line:
    """Every camera has results in the last quarter of the soak."""
    lives = recording.lives()
    last = lives[-1] if lives else []
    late = last[-max(2, len(last) // 4) :]
    silent = [
        name
        for name in recording.cameras
        if not late or late[-1].processed.get(name, 0) <= (late[0].processed.get(name, 0) if len(late) > 1 else 0)
    ]
    figure = f"silent: {', '.join(silent)}" if silent else f"all of {len(recording.cameras)}"
    return Line("cameras at the end", _outcome(not silent), figure, "all have results")


def _ledger(recording: Recording) -> Line:
    bound = "every number stored once, or declared lost"
    ledger = recording.ledger
    if ledger is None:
        return Line("ledger", "not measured", "no recorder ran", bound)
    figure = f"{ledger.stored} stored, {ledger.declared} declared lost, {ledger.holes} missing, {ledger.left} left"
    return Line("ledger", _outcome(ledger.stored > 0 and not ledger.holes and not ledger.left), figure, bound)


def _ends(recording: Recording) -> Line:
    ends = [*recording.unplanned_ends]
    if recording.exit_code != 0:
        ends.append("it did not stop when told" if recording.exit_code is None else f"exit code {recording.exit_code}")
    return Line("ends", _outcome(not ends), "; ".join(ends) or "none but those told", "none that nobody asked for")


def _outcome(good: bool) -> Outcome:
    return "pass" if good else "fail"
