"""Alert rules, silences and channels in the store: what people set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from edgesdk.fleet.alerts.rule import Rule, rule_from_json
from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.store.tables import alert_rules, channels, silences
from edgesdk_targets.errors import InputError

_FOREVER_MS = 1 << 52


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A way of telling somebody; secrets in `settings` are sealed."""

    id: int
    name: str
    kind: str
    settings: dict[str, Any]
    enabled: bool


def put_rule(connection: Connection, rule: Rule, actor: str, now_ms: int) -> int:
    """Write a rule, new or anew by its name, and return its row."""
    values = {
        "kind": rule.kind, "severity": rule.severity, "threshold": rule.limit, "clear_threshold": rule.clear,
        "for_s": round(rule.for_s), "clear_s": round(rule.clear_for_s), "selection": rule.scope.model_dump(mode="json"),
        "settings": {"repeat_s": rule.repeat_s, "for_s": rule.for_s, "clear_for_s": rule.clear_for_s},
        "channels": list(rule.channels), "enabled": rule.enabled, "actor": actor, "updated_ms": now_ms,
    }  # fmt: skip
    row = connection.execute(select(alert_rules.c.id).where(alert_rules.c.name == rule.name)).scalar_one_or_none()
    if row is None:
        added = insert(alert_rules).values(name=rule.name, created_ms=now_ms, **values)
        return int(connection.execute(added.returning(alert_rules.c.id)).scalar_one())
    connection.execute(update(alert_rules).where(alert_rules.c.id == row).values(**values))
    return int(row)


def list_rules(connection: Connection) -> dict[int, Rule]:
    """Return the rules by their rows, in the order of their names."""
    rows = connection.execute(select(alert_rules).order_by(alert_rules.c.name))
    return {int(row.id): _rule(row) for row in rows}


def delete_rule(connection: Connection, name: str) -> None:
    """Remove a rule, and with it what it found. Raises InputError where there is none."""
    if not connection.execute(delete(alert_rules).where(alert_rules.c.name == name)).rowcount:
        raise InputError(f"There is no rule {name[:80]!r}.", hint="edgesdk fleet alerts rules")


def put_channel(
    connection: Connection, name: str, kind: str, settings: Mapping[str, Any], now_ms: int, *, enabled: bool = True
) -> int:
    """Write a channel, new or anew by its name, and return its row."""
    values = {"kind": kind, "settings": dict(settings), "enabled": enabled, "updated_ms": now_ms}
    row = connection.execute(select(channels.c.id).where(channels.c.name == name)).scalar_one_or_none()
    if row is None:
        added = insert(channels).values(name=name, created_ms=now_ms, **values)
        return int(connection.execute(added.returning(channels.c.id)).scalar_one())
    connection.execute(update(channels).where(channels.c.id == row).values(**values))
    return int(row)


def list_channels(connection: Connection) -> list[StoredChannel]:
    """Return all channels by name."""
    rows = connection.execute(select(channels).order_by(channels.c.name))
    return [StoredChannel(row.id, row.name, row.kind, row.settings or {}, row.enabled) for row in rows]


def delete_channel(connection: Connection, name: str) -> None:
    """Remove a channel, and what was still to be told by it.

    Raises:
        InputError: there is none, or a rule tells it by name: that rule would tell nobody.
    """
    telling = next((rule.name for rule in list_rules(connection).values() if name in rule.channels), None)
    if telling is not None:
        raise InputError(f"The rule {telling} tells {name[:80]}.", hint="Let it tell another channel first.")
    if not connection.execute(delete(channels).where(channels.c.name == name)).rowcount:
        raise InputError(f"There is no channel {name[:80]!r}.", hint="edgesdk fleet alerts channels")


def add_silence(connection: Connection, silence: Silence, actor: str, now_ms: int) -> int:
    """Write a silence and return its row."""
    selection = silence.model_dump(mode="json", include={"scope", "rules", "weekly"})
    added = insert(silences).values(
        selection=selection,
        starts_ms=now_ms if silence.since is None else int(silence.since.timestamp() * 1000),
        ends_ms=_FOREVER_MS if silence.until is None else int(silence.until.timestamp() * 1000),
        reason=silence.reason,
        actor=actor,
        created_ms=now_ms,
    )
    return int(connection.execute(added.returning(silences.c.id)).scalar_one())


def list_silences(connection: Connection, now_ms: int) -> dict[int, Silence]:
    """Return the silences that have not ended, by their rows."""
    rows = connection.execute(select(silences).where(silences.c.ends_ms > now_ms).order_by(silences.c.id))
    return {int(row.id): _silence(row) for row in rows}


def end_silence(connection: Connection, row: int, now_ms: int) -> None:
    """End a silence now. Raises InputError where there is none that goes on."""
    going_on = update(silences).where(silences.c.id == row, silences.c.ends_ms > now_ms)
    if not connection.execute(going_on.values(ends_ms=now_ms)).rowcount:
        raise InputError(f"There is no silence {row} that goes on.", hint="edgesdk fleet alerts silences")


def channels_of(rule: Rule, known: Sequence[StoredChannel]) -> list[StoredChannel]:
    """Return the channels that a rule tells: those it names, or all; never one that is switched off."""
    return [one for one in known if one.enabled and (not rule.channels or one.name in rule.channels)]


def _rule(row: Row[Any]) -> Rule:
    settings = row.settings or {}
    return rule_from_json(
        {
            "name": row.name, "kind": row.kind, "limit": row.threshold, "clear": row.clear_threshold,
            "for_s": settings.get("for_s", row.for_s), "clear_for_s": settings.get("clear_for_s", row.clear_s),
            "severity": row.severity, "scope": row.selection or {}, "channels": tuple(row.channels or ()),
            "repeat_s": settings.get("repeat_s", 0.0), "enabled": row.enabled,
        }
    )  # fmt: skip


def _silence(row: Row[Any]) -> Silence:
    return Silence.model_validate(
        {
            **(row.selection or {}),
            "since": datetime.fromtimestamp(row.starts_ms / 1000, timezone.utc),
            "until": None if row.ends_ms == _FOREVER_MS else datetime.fromtimestamp(row.ends_ms / 1000, timezone.utc),
            "reason": row.reason,
        }
    )
