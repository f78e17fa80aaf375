"""Where on the ladder to stand: a pure function of where one stands, of the strain, and of the time.

- One rung at a time. Down when it has pressed for `engage_after_s`, and not before the last step had time to work.
- Up when it was calm for as long as patience asks. What lies between the marks moves nothing.
- Patience doubles when a step up was followed by one down soon after: where a device is strained just by what the rung
  gives back, it tries again ever more seldom, and so does not flap. It is bounded, so that it always recovers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgesdk_agent.governor.strain import Strain


@dataclass(frozen=True, slots=True)
class GovernorTimes:
    """How patient it is, seconds.

    Attributes:
        engage_after_s: of strain, before a step down.
        settle_s: after any step, before the next one down.
        patience_s: of calm, before a step up; it doubles up to `patience_most_s`.
        relapse_s: a step down so soon after one up doubles the patience; as long without one makes it whole again.
    """

    engage_after_s: float = 10.0
    settle_s: float = 20.0
    patience_s: float = 60.0
    patience_most_s: float = 1800.0
    relapse_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it stands; times are seconds of the monotonic clock.

    Attributes:
        place: how many rungs are in force.
        stepped_at: the last step; up_at: the last one up.
        pressed_since, calm_since: None where it is not so.
        patience_s: of calm that the next step up needs.
    """

    place: int = 0
    stepped_at: float | None = None
    up_at: float | None = None
    pressed_since: float | None = None
    calm_since: float | None = None
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One rung down (`to > before`) or up, and why."""

    before: int
    to: int
    why: str


def decide(
    standing: Standing, strain: Strain, now: float, *, rungs: int, times: GovernorTimes
) -> tuple[Standing, Step | None]:
    """Return where to stand now, and the step that leads there, if any.

    Args:
        rungs: how many the ladder has.
    """
    standing = _watched(standing, strain, now, times)
    settled = standing.stepped_at is None or now - standing.stepped_at >= times.settle_s
    pressed_s = 0.0 if standing.pressed_since is None else now - standing.pressed_since
    if strain.presses and settled and pressed_s >= times.engage_after_s and standing.place < rungs:
        return _down(standing, strain, now, times)
    calm_s = 0.0 if standing.calm_since is None else now - standing.calm_since
    if strain.calm and standing.place and calm_s >= standing.patience_s:
        step = Step(standing.place, standing.place - 1, f"calm for {calm_s:.0f} s")
        # The next step up needs a calm of its own.
        return replace(standing, place=step.to, stepped_at=now, up_at=now, calm_since=now), step
    return standing, None


def _watched(standing: Standing, strain: Strain, now: float, times: GovernorTimes) -> Standing:
    pressed = (now if standing.pressed_since is None else standing.pressed_since) if strain.presses else None
    calm = (now if standing.calm_since is None else standing.calm_since) if strain.calm else None
    patience = standing.patience_s or times.patience_s
    held = standing.stepped_at is not None and now - standing.stepped_at >= max(times.relapse_s, patience)
    if held and not standing.place:
        patience = times.patience_s
    return replace(standing, pressed_since=pressed, calm_since=calm, patience_s=patience)


def _down(standing: Standing, strain: Strain, now: float, times: GovernorTimes) -> tuple[Standing, Step]:
    relapsed = standing.up_at is not None and now - standing.up_at < times.relapse_s
    patience = min(standing.patience_s * 2, times.patience_most_s) if relapsed else standing.patience_s
    step = Step(standing.place, standing.place + 1, "; ".join(strain.presses))
    return replace(standing, place=step.to, stepped_at=now, pressed_since=now, patience_s=patience), step
