"""Has a release on trial shown that it does its work? Pure: figures in, a verdict out.

It waits until every condition holds at once, at the earliest after the soak. What never comes to hold ends by the trial's time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verdict:
    """healthy: the trial may end well. unfit: why it must end badly. Neither: wait, for `waits_for`.

    Attributes:
        void: why it must end and says nothing of the release, which is not to be blamed.
        doubt: what it waits for is the release's own doing; where that lasts, it is unfit.
    """

    healthy: bool = False
    unfit: str = ""
    void: str = ""
    waits_for: str = ""
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of the run on trial.

    Attributes:
        up_s: how long the process runs.
        frames: results by camera since its start.
        age_p95_ms: of the newest window, by camera; one that brought nothing in it is absent.
        before_p95_ms: the same of the release before, where it is known.
        starved: cameras whose pictures came in the newest window, and no results.
        unlike: by camera, in what its results differ from those before; absent where they do not.
        absent: by camera, the label that may have gone, which is waited for.
        growth: how the program's memory grows; empty where it does not.
        uncompared: what is not compared with before, as too little is known of that; it must do well for longer.
        broker_reached: a report was acknowledged since the start; None where no broker is configured.
    """

    up_s: float
    frames: Mapping[str, int]
    age_p95_ms: Mapping[str, float]
    before_p95_ms: Mapping[str, float]
    starved: frozenset[str] = frozenset()
    unlike: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    growth: str = ""
    uncompared: str = ""
    broker_reached: bool | None = None


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a trial must show.

    Attributes:
        soak_s: the least time; uncompared_soak_s: where too little is known to compare with.
        least_frames: of each camera.
        budget_ms: how old results may be, 0 for no budget; slower: and how many times as old as with the release before.
        unlike: how many standard errors results may be away from those before; None does not compare them.
        growth_mb: by how much memory may grow from stretch to stretch; None does not look.
    """

    soak_s: float = 60.0
    uncompared_soak_s: float = 120.0
    least_frames: int = 30
    budget_ms: float = 0.0
    slower: float = 1.5
    unlike: float | None = 4.0
    growth_mb: float | None = 32.0


def judged(figures: Figures, limits: GateLimits) -> Verdict:
    """Return the verdict on a trial. A doubt comes first: what waits for a camera must not hide what another one shows."""
    found = [verdict for waits in (_cameras, _ages, _sense, _surroundings) for verdict in waits(figures, limits)]
    doubts = (verdict for verdict in found if verdict.doubt)
    return next(doubts, found[0] if found else Verdict(healthy=True))


def after_doubts(verdict: Verdict, doubted_s: float, up_s: float, limits: GateLimits) -> Verdict:
    """Return the verdict on what was doubted without a pause for so long: a soak's time of it is enough."""
    if verdict.doubt and doubted_s >= limits.soak_s and up_s >= limits.soak_s:
        return Verdict(unfit=verdict.waits_for)
    return verdict


def _doubt(said: str) -> Verdict:
    return Verdict(waits_for=said, doubt=True)


def _cameras(figures: Figures, limits: GateLimits) -> Iterator[Verdict]:
    for camera, count in figures.frames.items():
        # It brought some, and then no more: a model that hangs is not to be confirmed for how it began.
        if count and camera in figures.starved:
            yield _doubt(f"camera {camera}: pictures come, and no results any more")
        elif count < limits.least_frames:
            yield Verdict(waits_for=f"camera {camera}: {count} of {limits.least_frames} results")
        elif camera not in figures.age_p95_ms:
            yield Verdict(waits_for=f"camera {camera}: no results of late")


def _ages(figures: Figures, limits: GateLimits) -> Iterator[Verdict]:
    for camera, age in figures.age_p95_ms.items():
        before = figures.before_p95_ms.get(camera)
        allowed = _allowed_ms(before, limits)
        if allowed is not None and not age <= allowed:
            said = f"camera {camera}: its results are {age:.0f} ms old, {allowed:.0f} ms are allowed"
            yield Verdict(waits_for=said, doubt=before is not None)


def _sense(figures: Figures, _limits: GateLimits) -> Iterator[Verdict]:
    for camera, said in figures.unlike.items():
        yield _doubt(f"camera {camera}: its results are not as before, {said}")
    for camera, said in figures.absent.items():
        yield Verdict(waits_for=f"camera {camera}: {said}")
    if figures.growth:
        yield _doubt(figures.growth)


def _surroundings(figures: Figures, limits: GateLimits) -> Iterator[Verdict]:
    if figures.broker_reached is False:
        yield Verdict(waits_for="the broker")
    if not figures.frames:
        yield Verdict(waits_for="a camera")
    soak_s = limits.uncompared_soak_s if figures.uncompared else limits.soak_s
    if figures.up_s < soak_s:
        yield Verdict(
            waits_for=f"{soak_s - figures.up_s:.0f} s more{figures.uncompared and f', as {figures.uncompared}'}"
        )


def _allowed_ms(before: float | None, limits: GateLimits) -> float | None:
    """Return how old results may be; None where nothing is known.

    Within the budget, and not many times older than before. Where they were too old before, a device must not be kept from
    another model by that: then they may be no older.
    """
    if before is None:
        return limits.budget_ms or None
    return min(before * limits.slower, max(limits.budget_ms, before)) if limits.budget_ms else before * limits.slower
