"""One look at the whole fleet: every rule on every device it covers, what changed, and who is told of it.

Pure: what was known before and what is known now go in, what is known afterwards and the notices come out. So the same
round after a crash, from the same rows, comes to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from edgesdk.fleet.alerts.evaluation import WELL, AlertState, Change, step
from edgesdk.fleet.alerts.figures import Vital, figure
from edgesdk.fleet.alerts.notice import Notice, State, Told
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.silence import Silence

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Watched:
    """One rule on one device: how it stands, and what people were told.

    Attributes:
        told_at: when people were last told that it goes on; None while they have not been told.
    """

    state: AlertState = WELL
    told_at: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert that began or ended."""

    rule: Rule
    node: str
    change: Change
    at: float
    value: float | None
    silenced: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to.

    Attributes:
        watched: what is to be known for the next round; what is well and was not told of is left out.
    """

    watched: dict[Key, Watched] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()
    notices: tuple[Notice, ...] = ()


def look(
    rules: Sequence[Rule],
    vitals: Sequence[Vital],
    watched: Mapping[Key, Watched],
    silences: Sequence[Silence],
    now: float,
    *,
    blind_since: float | None = None,
) -> Outcome:
    """Look at every device by every rule.

    An alert whose rule is gone or switched off, or whose device is gone or no longer covered, ends without a word.

    Args:
        watched: by rule's name and node, as the last round left it.
        now: seconds since 1970.
        blind_since: since when the collector has heard nobody; see `figure`.
    """
    moment = datetime.fromtimestamp(now, timezone.utc)
    kept: dict[Key, Watched] = {}
    transitions: list[Transition] = []
    groups: dict[tuple[str, State], list[Told]] = {}
    for rule in rules:
        if not rule.enabled:
            continue
        for vital in vitals:
            if not rule.scope.covers(vital.subject):
                continue
            key = (rule.name, vital.subject.node)
            before = watched.get(key, Watched())
            state, change = step(rule, before.state, figure(rule, vital, now, blind_since=blind_since), now)
            silenced = any(one.covers(rule.name, vital.subject, moment) for one in silences)
            if change is not None:
                transitions.append(Transition(rule, vital.subject.node, change, now, state.worst, silenced))
            after, say = _telling(rule, before, state, change, now, silenced=silenced)
            if say is not None:
                since = before.state.fired_at if change == "cleared" else state.fired_at
                told = _told(vital, now if since is None else since, state.worst if say == "resolved" else state.value)
                groups.setdefault((rule.name, say), []).append(told)
            if after.state.firing or after.state.pending:
                kept[key] = after
    by_name = {rule.name: rule for rule in rules}
    notices = tuple(
        Notice(by_name[name], said, moment, tuple(sorted(devices, key=lambda one: one.node)))
        for (name, said), devices in groups.items()
    )
    return Outcome(kept, tuple(transitions), notices)


def _telling(
    rule: Rule, before: Watched, state: AlertState, change: Change | None, now: float, *, silenced: bool
) -> tuple[Watched, State | None]:
    """Say what is told now, and note it."""
    after = replace(before, state=state)
    if change == "cleared":
        # Who was never told that it began is not told that it ended.
        return after, "resolved" if before.told_at is not None and not silenced else None
    if not state.firing or silenced:
        return after, None
    if before.told_at is None:
        return replace(after, told_at=now), "firing"
    if rule.repeat_s and now - before.told_at >= rule.repeat_s:
        return replace(after, told_at=now), "still"
    return after, None


def _told(vital: Vital, since: float, value: float | None) -> Told:
    when = datetime.fromtimestamp(since, timezone.utc)
    return Told(vital.subject.node, vital.subject.site, when, value)
