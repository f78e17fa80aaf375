"""When an alert begins and ends: a pure function of a rule, what was before, one figure and the time.

    well ── bad ──▶ pending ── bad for `for_s` ──▶ firing ── well for `clear_for_s` ──▶ well
                       └── not bad ──▶ well          ▲            │
                                                     └─ not well ─┘ (the clearing begins anew)

A device that says nothing proves nothing: without a figure what is pending is forgotten, and what is firing goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edgesdk.fleet.alerts.rule import Rule

Change = Literal["fired", "cleared"]


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is known of one rule on one device. Times are seconds of one clock.

    Attributes:
        bad_since: since when the figure has been bad, while no alert has begun.
        fired_at: when the alert began; None while there is none.
        well_since: since when the figure has been well, while the alert has not ended.
        value: the figure last seen; worst: the worst one of this alert.
    """

    bad_since: float | None = None
    fired_at: float | None = None
    well_since: float | None = None
    value: float | None = None
    worst: float | None = None

    @property
    def firing(self) -> bool:
        return self.fired_at is not None

    @property
    def pending(self) -> bool:
        return self.bad_since is not None


WELL = AlertState()


def step(rule: Rule, state: AlertState, value: float | None, now: float) -> tuple[AlertState, Change | None]:
    """Return what is so now, and what changed.

    Args:
        value: the figure in the unit of the rule's kind; None where there is none.
        now: seconds; a clock that was set back counts as standing still.
    """
    if value is None:
        return replace(state, bad_since=None, well_since=None), None
    if state.fired_at is not None:
        return _while_firing(rule, state, value, now)
    if not rule.is_bad(value):
        return replace(WELL, value=value), None
    since = now if state.bad_since is None else min(state.bad_since, now)
    if now - since >= rule.waits_s:
        return AlertState(fired_at=now, value=value, worst=value), "fired"
    return replace(state, bad_since=since, value=value), None


def _while_firing(rule: Rule, state: AlertState, value: float, now: float) -> tuple[AlertState, Change | None]:
    worst = value if state.worst is None else (min if rule.below_is_bad else max)(state.worst, value)
    if not rule.is_well(value):
        return replace(state, well_since=None, value=value, worst=worst), None
    since = now if state.well_since is None else min(state.well_since, now)
    if now - since >= rule.clear_for_s:
        return replace(WELL, value=value, worst=worst), "cleared"
    return replace(state, well_since=since, value=value, worst=worst), None
