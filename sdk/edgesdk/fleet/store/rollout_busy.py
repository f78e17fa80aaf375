"""Devices that a roll-out has in hand: no other one may have them until it has ended."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from edgesdk.fleet.rollout.model import UNCOUNTED
from edgesdk.fleet.store import jobs
from edgesdk.fleet.store.rollouts import ENDED
from edgesdk.fleet.store.tables import nodes, rollout_devices, rollout_orders, rollouts
from edgesdk_targets.errors import InputError

_JOB = "rollouts-begin"


def hold(connection: Connection) -> None:
    """Be alone in taking devices in hand until the transaction ends: two at once must not find the same ones free."""
    jobs.cursor(connection, _JOB)


def refuse_busy(connection: Connection, numbers: Iterable[int], but: int = 0) -> None:
    """Raise InputError where one of these devices' rows is in a roll-out that has not ended, another one than `but`."""
    wanted = set(numbers)
    busy = {number: key for number, key in _busy(connection, but) if number in wanted}
    if busy:
        number, key = next(iter(busy.items()))
        name = connection.execute(select(nodes.c.name).where(nodes.c.id == number)).scalar_one()
        more = f" and {len(busy) - 1} more are" if len(busy) > 1 else " is"
        raise InputError(
            f"{name}{more} in the roll-out {key}, which has not ended.",
            hint=f"Wait for its end, or: edgesdk fleet rollback {key}",
        )


def busy_elsewhere(connection: Connection, but: int) -> set[int]:
    """Return the rows of devices that another roll-out still has in hand."""
    return {number for number, _ in _busy(connection, but)}


def _busy(connection: Connection, but: int) -> list[tuple[int, str]]:
    # One that has ended and is asked for something goes on as soon as that is heard.
    unheard = select(rollout_orders.c.rollout).where(rollout_orders.c.done_ms.is_(None))
    asked = (
        select(rollout_devices.c.node, rollouts.c.key)
        .join(rollouts, rollouts.c.id == rollout_devices.c.rollout)
        .where(
            rollouts.c.status.not_in(ENDED) | rollouts.c.id.in_(unheard), rollouts.c.id != but,
            rollout_devices.c.step.not_in(UNCOUNTED),
        )
    )  # fmt: skip
    return [(row.node, row.key) for row in connection.execute(asked)]
