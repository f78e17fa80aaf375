"""What people ask of a roll-out; the engine hears it at its next look."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from edgesdk.fleet.rollout.engine import may, needs_reason
from edgesdk.fleet.rollout.seen import Order, Verb
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.rollout_busy import hold, refuse_busy
from edgesdk.fleet.store.rollouts import VERBS, load
from edgesdk.fleet.store.tables import rollout_orders
from edgesdk_targets.errors import InputError

MAX_WHY_CHARACTERS = 500


def order(connection: Connection, key: str, verb: Verb, *, actor: str, now_ms: int, why: str = "") -> None:
    """Ask something of a roll-out.

    Args:
        why: in the words of whoever asks; stands in the audit log, and where the roll-out shows what happened.

    Raises:
        InputError: there is none, it means nothing to it as it is or needs a reason, or devices are in another one by now.
    """
    # Nor must one begin with the devices of an ended roll-out while that is asked to go back.
    hold(connection)
    found, why = load(connection, key), plain_text(why.strip(), MAX_WHY_CHARACTERS)
    # What was asked before and is not heard yet comes first.
    if not may(found.rollout, verb):
        raise InputError(f"{key} is {found.rollout.status.value}: {verb} means nothing to it.", hint="Look again.")
    if needs_reason(found.rollout, verb) and not why:
        raise InputError(
            f"{key} is {found.rollout.status.value}: to {verb} it needs a reason, which is kept.",
            hint=f'edgesdk fleet rollouts {key} --do {verb} --why "…"',
        )
    if found.rollout.status.ended:
        touched = [found.numbers[one.node] for one in found.rollout.devices.values() if one.touched]
        refuse_busy(connection, touched, but=found.id)
    connection.execute(
        insert(rollout_orders).values(rollout=found.id, verb=verb, why=why, actor=actor, created_ms=now_ms)
    )
    add_entry(connection, actor, f"rollout.{verb}", key, detail={"why": why} if why else None)


def unheard(connection: Connection, row: int) -> list[tuple[int, Order]]:
    """Return what people asked of a roll-out and nobody has heard, oldest first, each with its row."""
    asked = select(rollout_orders.c.id, rollout_orders.c.verb, rollout_orders.c.why).where(
        rollout_orders.c.rollout == row, rollout_orders.c.done_ms.is_(None)
    )
    found = connection.execute(asked.order_by(rollout_orders.c.id))
    return [(one.id, Order(one.verb, one.why)) for one in found if one.verb in VERBS]
