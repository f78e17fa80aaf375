"""The ladder: what is given up first, as data, and what a place on it means. Each rung adds to those above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """One thing that is given up.

    Attributes:
        name: for events.
        rate: share of each live camera's frames that the model still sees; None leaves it.
        variant: of the bundle, that runs instead; empty leaves it.
        bundle: another bundle that runs instead, such as the same model with a smaller input; empty leaves it.
        pause: how many cameras are not looked at any more, the least important first.
    """

    name: str
    rate: float | None = None
    variant: str = ""
    bundle: str = ""
    pause: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is in force on a place of the ladder; the first place gives nothing up."""

    rate: float = 1.0
    variant: str = ""
    bundle: str = ""
    pause: int = 0


USUAL_LADDER = (
    Rung("half the frames", rate=0.5),
    Rung("a quarter of the frames", rate=0.25),
    Rung("one camera less", pause=1),
    Rung("one frame in ten", rate=0.1),
)


def plan_at(ladder: Sequence[Rung], place: int) -> Plan:
    """Return what the first `place` rungs together mean.

    The lowest rate holds, the last model, and the most cameras that are paused.
    """
    plan = Plan()
    for rung in ladder[:place]:
        changes_model = bool(rung.variant or rung.bundle)
        plan = Plan(
            rate=plan.rate if rung.rate is None else min(plan.rate, rung.rate),
            variant=rung.variant if changes_model else plan.variant,
            bundle=rung.bundle if changes_model else plan.bundle,
            pause=max(plan.pause, rung.pause),
        )
    return plan


def limits_of(plan: Plan, fps: Mapping[str, float], important: Sequence[str]) -> dict[str, float | None]:
    """Return how many frames a second each camera's model may see; None is no limit, 0 is none at all.

    One camera always stays.

    Args:
        fps: of the live cameras, by name.
        important: names, the most important first; those that are not named come after, in the order of `fps`.
    """
    order = [*(name for name in important if name in fps), *(name for name in fps if name not in important)]
    paused = set(order[max(1, len(order) - plan.pause) :])
    return {name: 0.0 if name in paused else None if plan.rate >= 1 else rate * plan.rate for name, rate in fps.items()}
