"""A roll-out begins: who is meant, in which waves, and what stands in the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Connection, func, insert, select

from edgesdk.fleet.rollout.model import Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE
from edgesdk.fleet.rollout.shelf import Shelved
from edgesdk.fleet.rollout.waves import assigned, wave_sizes
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.devices import JOINED
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.rollout_busy import hold, refuse_busy
from edgesdk.fleet.store.rollout_fit import RUNS_IT, fit_columns, unfit
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import nodes, rollout_devices, rollouts
from edgesdk_targets.errors import InputError

# More than any fleet has: who joins later may be as many.
_MANY = 1_000_000


def begin(
    connection: Connection, bundle: Shelved, selection: Selection, policy: Policy, *, actor: str, now_ms: int,
    expect: int | None = None,
) -> str:  # fmt: skip
    """Begin a roll-out, and return its key.

    Args:
        expect: how many devices whoever asks believes these are.

    Raises:
        InputError: nobody is meant, others than are believed, or some are in another roll-out; the first device is none
            of them; a shadow wave is asked for of an agent, or that agent would not say which release it is.
    """
    _refuse_agent(bundle, policy)
    hold(connection)
    fit = candidates(connection, selection, bundle, now_ms)
    turn = {name: why for name, (_, why) in fit.items()}
    wanted = [name for name, why in turn.items() if not why]
    if expect is not None and expect != len(wanted):
        raise InputError(f"This means {len(wanted)} devices by now, not {expect}.", hint="Look again.")
    if not wanted and not policy.dynamic:
        reason = next(iter(turn.values()), "no device fits the selection")
        raise InputError(
            f"Nobody would get this {bundle.kind}: {reason}.",
            hint="Give another selection, or something else to roll out.",
        )
    if policy.first and policy.first not in wanted:
        raise InputError(f"{policy.first} is none of these devices.", hint="Name another --first.")
    refuse_busy(connection, [fit[name][0] for name in wanted])
    number = 1 + (connection.execute(select(func.max(rollouts.c.id))).scalar_one_or_none() or 0)
    key = f"{bundle.name}-{bundle.version}-{number}"
    made = connection.execute(
        insert(rollouts).returning(rollouts.c.id).values(
            key=key, kind=bundle.kind, digest=bundle.digest, bundle_name=bundle.name, bundle_version=bundle.version,
            release=bundle.release, policy=policy.model_dump(mode="json"), selection=selection.to_json(),
            status=Status.RUNNING.value, wave=0 if policy.shadow is None else SHADOW_WAVE,
            waves=max(1, len(_waves(len(wanted), policy))),
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
    connection: Connection, selection: Selection, bundle: Shelved, now_ms: int
) -> dict[str, tuple[int, str]]:
    """Return each device of a selection with its row, and why it would not get the bundle; empty where it would."""
    asked = (
        select(*fit_columns(bundle.kind))
        .select_from(JOINED)
        .where(*selection.where(now_ms), nodes.c.revoked_ms.is_(None))
        .order_by(nodes.c.name)
    )
    return {row.name: (row.id, unfit(row, bundle)) for row in connection.execute(asked)}


def outlook(
    connection: Connection, bundle: Shelved, selection: Selection, policy: Policy, now_ms: int
) -> dict[str, Any]:
    """Return whom a roll-out would mean if it began now: how many devices, in which waves, and why others are left out.

    Raises:
        InputError: the selection cannot be meant, or the release not be rolled out so, as for `begin`.
    """
    _refuse_agent(bundle, policy)
    fit = candidates(connection, selection, bundle, now_ms)
    left_out = Counter(why for _, why in fit.values() if why)
    reached = wave_sizes(len(fit) - left_out.total(), policy.shares)
    return {
        "devices": len(fit) - left_out.total(),
        "waves": [upto - before for before, upto in zip([0, *reached], reached, strict=False)],
        "left_out": [{"why": why, "devices": count} for why, count in left_out.most_common()],
    }


def _refuse_agent(bundle: Shelved, policy: Policy) -> None:
    if not bundle.says_which:
        raise InputError(
            f"{bundle.name} {bundle.version} is of before agents said which release they run: each device would count as silent.",
            hint="Make the release of a newer edgesdk, or bring it to each device with `edgesdk deploy … --direct HOST`.",
        )
    if policy.shadow is not None and bundle.kind != "bundle":
        raise InputError("A shadow wave compares models, and this is an agent.", hint="Leave shadow out.")


def _waves(devices: int, policy: Policy) -> list[int]:
    # Where devices join later, there must be waves for many of them.
    return wave_sizes(_MANY if policy.dynamic else devices, policy.shares)


def _step_of(why: str) -> Step:
    return Step.WAITING if not why else Step.ALREADY if why == RUNS_IT else Step.UNFIT
