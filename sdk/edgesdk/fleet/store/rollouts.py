"""Roll-outs in the store: read as the engine's values, and what the engine made of one written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Connection, Row, delete, insert, select, update

from edgesdk.fleet.rollout.engine import Action
from edgesdk.fleet.rollout.model import Device, Failure, Rollout, Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.seen import Verb
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import nodes, rollout_devices, rollout_log, rollout_orders, rollouts
from edgesdk_targets.agent_release.agent_release import Kind
from edgesdk_targets.errors import InputError

VERBS: tuple[Verb, ...] = get_args(Verb)
ENDED = tuple(one.value for one in Status if one.ended)
_NAMED = 20
_AT_ONCE = 500
_WHY_CHARACTERS = 1000

JOB = "rollouts"


@dataclass(frozen=True, slots=True)
class Stored:
    """A roll-out as it is kept: the engine's value, and what the engine need not know.

    Attributes:
        kind: of what is rolled out.
        revision: of what was read; see `save`.
        numbers: the row of each of its devices.
    """

    id: int
    rollout: Rollout
    kind: Kind
    selection: Selection
    revision: int
    numbers: Mapping[str, int]


def load(connection: Connection, key: str) -> Stored:
    """Return a roll-out with its devices. Raises InputError: there is none."""
    row = connection.execute(select(rollouts).where(rollouts.c.key == key)).one_or_none()
    if row is None:
        raise InputError(f"There is no roll-out {key[:200]!r}.", hint="edgesdk fleet rollouts")
    asked = (
        select(rollout_devices, nodes.c.name)
        .join(nodes, nodes.c.id == rollout_devices.c.node)
        .where(rollout_devices.c.rollout == row.id)
    )
    devices, numbers = {}, {}
    for one in connection.execute(asked):
        devices[one.name], numbers[one.name] = _device(one), one.node
    rollout = Rollout(
        key=row.key, digest=row.digest, policy=Policy.model_validate(row.policy), status=Status(row.status),
        wave=row.wave, waves=row.waves, wave_at=(row.wave_ms or 0) / 1000, why=row.why,
        then=Status(row.after_return), devices=devices,
    )  # fmt: skip
    return Stored(row.id, rollout, row.kind, Selection.of(row.selection), row.revision, numbers)


def active(connection: Connection) -> dict[int, str]:
    """Return row and key of roll-outs that have not ended, or of which somebody wants something, oldest first."""
    asked = select(rollout_orders.c.rollout).where(rollout_orders.c.done_ms.is_(None))
    found = select(rollouts.c.id, rollouts.c.key).where(rollouts.c.status.not_in(ENDED) | rollouts.c.id.in_(asked))
    return {row.id: row.key for row in connection.execute(found.order_by(rollouts.c.id))}


def save(
    connection: Connection, stored: Stored, after: Rollout, actions: Sequence[Action], heard: Sequence[int], now_ms: int
) -> bool:
    """Write what the engine made of a roll-out, in the caller's transaction; nothing where somebody else did meanwhile.

    Args:
        heard: the orders that it has heard.
    """
    before = stored.rollout
    if after == before and not heard:
        return True
    ended = after.status.ended
    done = connection.execute(
        update(rollouts)
        .where(rollouts.c.id == stored.id, rollouts.c.revision == stored.revision)
        .values(
            status=after.status.value, wave=after.wave, waves=after.waves, wave_ms=_ms(after.wave_at),
            why=plain_text(after.why, _WHY_CHARACTERS), after_return=after.then.value,
            ended_ms=now_ms if ended else None, revision=stored.revision + 1,
        )
    )  # fmt: skip
    if done.rowcount != 1:
        return False
    _write_devices(connection, stored, after, now_ms)
    if heard:
        connection.execute(update(rollout_orders).where(rollout_orders.c.id.in_(heard)).values(done_ms=now_ms))
    for action in actions:
        connection.execute(
            insert(rollout_log).values(
                rollout=stored.id, at_ms=now_ms, what=action.what, devices=len(action.nodes),
                nodes=list(action.nodes[:_NAMED]), why=plain_text(action.why, _WHY_CHARACTERS),
            )
        )  # fmt: skip
    if after.status is not before.status:
        add_entry(
            connection, "fleet", f"rollout.{after.status.value.replace(' ', '_')}", after.key, detail={"why": after.why}
        )
    return True


def _write_devices(connection: Connection, stored: Stored, after: Rollout, now_ms: int) -> None:
    changed = [one for name, one in after.devices.items() if stored.rollout.devices.get(name) != one]
    fresh = [one.node for one in changed if one.node not in stored.numbers]
    numbers = dict(stored.numbers)
    for first in range(0, len(fresh), _AT_ONCE):
        asked = select(nodes.c.id, nodes.c.name).where(nodes.c.name.in_(fresh[first : first + _AT_ONCE]))
        numbers |= {row.name: row.id for row in connection.execute(asked)}
    # One that was removed from the fleet meanwhile has no row any more.
    rows = [
        {"rollout": stored.id, "node": numbers[one.node], **_row(one), "changed_ms": now_ms}
        for one in changed
        if one.node in numbers
    ]
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        connection.execute(
            delete(rollout_devices).where(
                rollout_devices.c.rollout == stored.id, rollout_devices.c.node.in_([row["node"] for row in part])
            )
        )
        connection.execute(insert(rollout_devices), part)


def _device(row: Row[Any]) -> Device:
    return Device(
        node=row.name, wave=row.wave, step=Step(row.step), failure=Failure(row.failure),
        told_at=None if row.told_ms is None else row.told_ms / 1000,
        confirmed_at=None if row.confirmed_ms is None else row.confirmed_ms / 1000,
        told_version=row.told_version, before=row.before_digest, said=row.said, why=row.why,
        excused_at=None if row.excused_ms is None else row.excused_ms / 1000, changed_at=row.changed_ms / 1000,
    )  # fmt: skip


def _row(device: Device) -> dict[str, Any]:
    return {
        "wave": device.wave, "step": device.step.value, "failure": device.failure.value, "told_ms": _ms(device.told_at),
        "confirmed_ms": _ms(device.confirmed_at), "told_version": device.told_version, "before_digest": device.before,
        "said": plain_text(device.said, 40), "why": plain_text(device.why, _WHY_CHARACTERS),
        "excused_ms": _ms(device.excused_at),
    }  # fmt: skip


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
