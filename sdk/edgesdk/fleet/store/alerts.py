"""Alerts as they stand, and notices on their way, in the store: so that a restart forgets nothing and tells nobody twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from edgesdk.fleet.alerts.evaluation import AlertState
from edgesdk.fleet.alerts.notice import Notice
from edgesdk.fleet.alerts.round import Key, Outcome, Watched
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.store.alert_rules import StoredChannel, channels_of
from edgesdk.fleet.store.tables import alert_rules, alerts, channels, nodes, notifications


@dataclass(frozen=True, slots=True)
class Due:
    """Notices that one channel is to be told together, as they are about the same.

    Attributes:
        rows: of `notifications`.
        devices: the alerts' nodes, sites, beginnings in ms, and figures.
    """

    rows: tuple[int, ...]
    channel: str
    rule: str
    transition: str
    created_ms: int
    attempts: int
    devices: tuple[tuple[str, str, int, float | None], ...]


def read_watched(connection: Connection) -> dict[Key, Watched]:
    """Return what is pending or firing, as the last round left it."""
    told = (
        select(notifications.c.alert, func.max(notifications.c.created_ms).label("told_ms"))
        .where(notifications.c.transition.in_(("firing", "still")))
        .group_by(notifications.c.alert)
        .subquery()
    )
    query = (
        select(alerts, alert_rules.c.name.label("rule_name"), nodes.c.name.label("node_name"), told.c.told_ms)
        .join(alert_rules, alert_rules.c.id == alerts.c.rule)
        .join(nodes, nodes.c.id == alerts.c.node)
        .join(told, told.c.alert == alerts.c.id, isouter=True)
        .where(alerts.c.cleared_ms.is_(None))
    )
    return {
        (row.rule_name, row.node_name): Watched(
            AlertState(
                bad_since=None if row.fired_ms is not None else _seconds(row.since_ms),
                fired_at=_seconds(row.fired_ms),
                well_since=_seconds(row.calm_ms),
                value=row.value,
                worst=row.value,
            ),
            _seconds(row.told_ms),
        )
        for row in connection.execute(query)
    }


def write_outcome(
    connection: Connection,
    rules: Mapping[int, Rule],
    before: Mapping[Key, Watched],
    outcome: Outcome,
    known_channels: Sequence[StoredChannel],
    now_ms: int,
) -> int:
    """Write what a round came to, and the notices to be sent; return how many these are."""
    rows = {rule.name: row for row, rule in rules.items()}
    touched = {key for key in {*before, *outcome.watched} if _changed(before.get(key), outcome.watched.get(key))}
    ids = _node_ids(connection, {node for _, node in touched} | _named(outcome.notices))
    for name, node in sorted(touched):
        if name not in rows or node not in ids:
            continue
        state = outcome.watched.get((name, node), Watched()).state
        _write_state(connection, rows[name], ids[node], state, rules[rows[name]].severity, now_ms)
    # Rules and devices that are gone close what was open about them.
    gone = [key for key in before if key not in outcome.watched and key[0] not in rows]
    for name, _ in gone:
        of_rule = select(alert_rules.c.id).where(alert_rules.c.name == name).scalar_subquery()
        connection.execute(
            update(alerts)
            .where(alerts.c.rule == of_rule, alerts.c.cleared_ms.is_(None))
            .values(cleared_ms=now_ms, updated_ms=now_ms)
        )
    return sum(_notify(connection, rows, ids, notice, known_channels, now_ms) for notice in outcome.notices)


def take_due(connection: Connection, now_ms: int, *, most: int = 200) -> list[Due]:
    """Return what is to be sent now, those about the same together."""
    query = (
        select(
            notifications, channels.c.name.label("channel_name"), alert_rules.c.name.label("rule_name"),
            nodes.c.name.label("node_name"), nodes.c.site, alerts.c.fired_ms, alerts.c.value,
        )
        .join(channels, channels.c.id == notifications.c.channel)
        .join(alerts, alerts.c.id == notifications.c.alert)
        .join(alert_rules, alert_rules.c.id == alerts.c.rule)
        .join(nodes, nodes.c.id == alerts.c.node)
        .where(notifications.c.state == "waiting", notifications.c.due_ms <= now_ms)
        .order_by(notifications.c.id)
        .limit(most * 50)
    )  # fmt: skip
    groups: dict[tuple[str, str, str, int], list[Any]] = {}
    for row in connection.execute(query):
        groups.setdefault((row.channel_name, row.rule_name, row.transition, row.created_ms), []).append(row)
    return [
        Due(
            tuple(row.id for row in found), channel, rule, transition, created_ms, found[0].attempts,
            tuple((row.node_name, row.site, row.fired_ms or created_ms, row.value) for row in found),
        )
        for (channel, rule, transition, created_ms), found in list(groups.items())[:most]
    ]  # fmt: skip


def hold(connection: Connection, due: Due, now_ms: int, until_ms: int) -> bool:
    """Have notices to oneself until a time, so that two services tell nobody twice; False where another one has them.

    Who dies while it sends is followed by another when that time is over.
    """
    held = 0
    for at in range(0, len(due.rows), 500):
        these = notifications.c.id.in_(due.rows[at : at + 500])
        waiting = update(notifications).where(
            these, notifications.c.state == "waiting", notifications.c.due_ms <= now_ms
        )
        held += connection.execute(waiting.values(due_ms=until_ms)).rowcount
    return held > 0


def settle(connection: Connection, due: Due, now_ms: int, *, problem: str = "", again_ms: int | None = None) -> None:
    """Write what became of it: sent, to be tried again at a time, or given up."""
    state = "waiting" if again_ms is not None else ("failed" if problem else "sent")
    values: dict[str, Any] = {"state": state, "attempts": due.attempts + 1, "problem": problem[:1000]}
    values |= {"due_ms": again_ms} if again_ms is not None else ({} if problem else {"sent_ms": now_ms})
    for at in range(0, len(due.rows), 500):
        these = notifications.c.id.in_(due.rows[at : at + 500])
        connection.execute(update(notifications).where(these).values(**values))


def _write_state(connection: Connection, rule: int, node: int, state: AlertState, severity: str, now_ms: int) -> None:
    open_one = and_(alerts.c.rule == rule, alerts.c.node == node, alerts.c.cleared_ms.is_(None))
    values: dict[str, Any] = {"updated_ms": now_ms}
    if state.firing:
        values |= {
            "state": "firing", "fired_ms": _ms(state.fired_at), "calm_ms": _ms(state.well_since), "value": state.worst,
        }  # fmt: skip
    elif state.pending:
        values |= {"state": "pending", "value": state.value}
    else:
        was_firing = connection.execute(select(alerts.c.fired_ms).where(open_one)).scalar_one_or_none()
        if was_firing is None:
            # It was suspected and came to nothing: nobody needs a list of that.
            connection.execute(delete(alerts).where(open_one))
            return
        values |= {"state": "cleared", "cleared_ms": now_ms}
    if connection.execute(update(alerts).where(open_one).values(**values)).rowcount or "cleared_ms" in values:
        return
    since = state.bad_since if state.bad_since is not None else state.fired_at
    connection.execute(
        insert(alerts).values(rule=rule, node=node, severity=severity, since_ms=_ms(since) or now_ms, **values)
    )


def _notify(
    connection: Connection,
    rules: Mapping[str, int],
    ids: Mapping[str, int],
    notice: Notice,
    known: Sequence[StoredChannel],
    now_ms: int,
) -> int:
    told = channels_of(notice.rule, known)
    if not told:
        return 0
    nodes_told = [ids[one.node] for one in notice.devices if one.node in ids]
    newest: dict[int, int] = {}
    for at in range(0, len(nodes_told), 500):
        query = (
            select(alerts.c.node, func.max(alerts.c.id))
            .where(alerts.c.rule == rules[notice.rule.name], alerts.c.node.in_(nodes_told[at : at + 500]))
            .group_by(alerts.c.node)
        )
        newest |= {int(node): int(alert) for node, alert in connection.execute(query)}
    rows = [
        {
            "alert": alert, "channel": channel.id, "transition": notice.state, "state": "waiting", "attempts": 0,
            "created_ms": now_ms, "due_ms": now_ms,
        }
        for alert in newest.values()
        for channel in told
    ]  # fmt: skip
    if rows:
        connection.execute(insert(notifications), rows)
    return len(rows)


def _changed(before: Watched | None, after: Watched | None) -> bool:
    """Tell whether anything is to be written: not for a figure that is a little different."""
    old, new = (before or Watched()).state, (after or Watched()).state
    return (old.bad_since, old.fired_at, old.well_since, old.worst) != (
        new.bad_since,
        new.fired_at,
        new.well_since,
        new.worst,
    )


def _node_ids(connection: Connection, names: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    wanted = sorted(names)
    for at in range(0, len(wanted), 500):
        query = select(nodes.c.name, nodes.c.id).where(nodes.c.name.in_(wanted[at : at + 500]))
        found |= {name: int(row) for name, row in connection.execute(query)}
    return found


def _named(notices: Sequence[Notice]) -> set[str]:
    return {one.node for notice in notices for one in notice.devices}


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
