"""A roll-out begins, and what people ask of one: who is meant, who is in another one, and what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from edgesdk.fleet.rollout.engine import may
from edgesdk.fleet.rollout.model import Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.seen import Verb
from edgesdk.fleet.rollout.waves import assigned, wave_sizes
from edgesdk.fleet.store import jobs
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.devices import JOINED
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.rollouts import ENDED, load
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import nodes, rollout_devices, rollout_orders, rollouts
from edgesdk_targets.errors import InputError

RUNS_IT = "it runs this bundle already"
_LOCK = "rollouts-begin"


@dataclass(frozen=True, slots=True)
class Offered:
    """The bundle of a roll-out, as the shelf has it.

    Attributes:
        targets: that it has variants for.
    """

    digest: str
    name: str
    version: str
    release: int
    targets: frozenset[str]


def begin(
    connection: Connection, bundle: Offered, selection: Selection, policy: Policy, *, actor: str, now_ms: int,
    expect: int | None = None,
) -> str:  # fmt: skip
    """Begin a roll-out, and return its key.

    Args:
        expect: how many devices whoever asks believes these are.

    Raises:
        InputError: nobody is meant, others than are believed, or some are in another roll-out; or the first device is none
            of them.
    """
    # Two at once must not both find the same devices free.
    jobs.cursor(connection, _LOCK)
    fit = candidates(connection, selection, bundle, now_ms)
    turn = {name: why for name, (_, why) in fit.items()}
    wanted = [name for name, why in turn.items() if not why]
    if expect is not None and expect != len(wanted):
        raise InputError(f"This means {len(wanted)} devices by now, not {expect}.", hint="Look again.")
    if not wanted and not policy.dynamic:
        reason = next(iter(turn.values()), "no device fits the selection")
        raise InputError(f"Nobody would get this bundle: {reason}.", hint="Give another selection or bundle.")
    if policy.first and policy.first not in wanted:
        raise InputError(f"{policy.first} is none of these devices.", hint="Name another --first.")
    _refuse_busy(connection, [fit[name][0] for name in wanted])
    number = 1 + (connection.execute(select(func.max(rollouts.c.id))).scalar_one_or_none() or 0)
    key = f"{bundle.name}-{bundle.version}-{number}"
    made = connection.execute(
        insert(rollouts).returning(rollouts.c.id).values(
            key=key, digest=bundle.digest, bundle_name=bundle.name, bundle_version=bundle.version,
            release=bundle.release, policy=policy.model_dump(mode="json"), selection=selection.to_json(),
            status=Status.RUNNING.value, wave=0, waves=max(1, len(wave_sizes(len(wanted), policy.shares))),
            wave_ms=now_ms, after_return=Status.ROLLED_BACK.value, actor=plain_text(actor, 100), created_ms=now_ms,
        )
    ).scalar_one()  # fmt: skip
    waves = assigned(key, wanted, policy.shares, policy.first)
    values = [
        {
            "rollout": made, "node": number, "wave": waves.get(name, 0), "why": why,
            "step": _step_of(why).value, "changed_ms": now_ms,
        }
        for name, (number, why) in fit.items()
    ]  # fmt: skip
    if values:
        connection.execute(insert(rollout_devices), values)
    add_entry(connection, actor, "rollout.begin", key, detail={"devices": len(wanted), "digest": bundle.digest})
    return key


def candidates(
    connection: Connection, selection: Selection, bundle: Offered, now_ms: int
) -> dict[str, tuple[int, str]]:
    """Return each device of a selection with its row, and why it would not get the bundle; empty where it would."""
    asked = (
        select(nodes.c.id, nodes.c.name, nodes.c.target, nodes.c.bundle_digest)
        .select_from(JOINED)
        .where(*selection.where(now_ms), nodes.c.revoked_ms.is_(None))
        .order_by(nodes.c.name)
    )
    return {row.name: (row.id, unfit(row.target, row.bundle_digest, bundle)) for row in connection.execute(asked)}


def unfit(target: str, executing: str, bundle: Offered) -> str:
    """Return why a bundle is nothing for a device; a device that never said what it is decides for itself."""
    if executing == bundle.digest:
        return RUNS_IT
    if target and target not in bundle.targets:
        return f"the bundle has nothing for {target}, only for {', '.join(sorted(bundle.targets))}"
    return ""


def _step_of(why: str) -> Step:
    return Step.WAITING if not why else Step.ALREADY if why == RUNS_IT else Step.UNFIT


def order(connection: Connection, key: str, verb: Verb, *, actor: str, now_ms: int) -> None:
    """Ask something of a roll-out; the engine hears it at its next look.

    Raises:
        InputError: there is none, it means nothing to it as it is, or devices are in another one by now.
    """
    # Nor must one begin with the devices of an ended roll-out while that is asked to go back.
    jobs.cursor(connection, _LOCK)
    found = load(connection, key)
    # What was asked before and is not heard yet comes first.
    if not may(found.rollout, verb):
        raise InputError(f"{key} is {found.rollout.status.value}: {verb} means nothing to it.", hint="Look again.")
    if found.rollout.status.ended:
        touched = [found.numbers[one.node] for one in found.rollout.devices.values() if one.touched]
        _refuse_busy(connection, touched, but=found.id)
    connection.execute(insert(rollout_orders).values(rollout=found.id, verb=verb, actor=actor, created_ms=now_ms))
    add_entry(connection, actor, f"rollout.{verb}", key)


def _refuse_busy(connection: Connection, numbers: Sequence[int], but: int = 0) -> None:
    busy = {name: key for name, key in _busy(connection, but) if name in set(numbers)}
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
    idle = [Step.GONE.value, Step.UNFIT.value, Step.ALREADY.value]
    asked = (
        select(rollout_devices.c.node, rollouts.c.key)
        .join(rollouts, rollouts.c.id == rollout_devices.c.rollout)
        .where(
            rollouts.c.status.not_in(ENDED) | rollouts.c.id.in_(unheard), rollouts.c.id != but,
            rollout_devices.c.step.not_in(idle),
        )
    )  # fmt: skip
    return [(row.node, row.key) for row in connection.execute(asked)]
