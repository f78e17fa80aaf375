"""Roll-outs as lists and pages show them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from edgesdk.fleet.rollout.engine import may, needs_reason
from edgesdk.fleet.rollout.model import UNCOUNTED, Failure, Step
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE, members_of
from edgesdk.fleet.store.jobs import LEASE_MS
from edgesdk.fleet.store.rollout_orders import unheard
from edgesdk.fleet.store.rollouts import JOB, VERBS, load
from edgesdk.fleet.store.tables import jobs, rollout_devices, rollout_log, rollouts

_LOG = 100
_DEVICES = 500
_PROMOTED = frozenset({Step.SHADOWED, Step.CONFIRMED})


def list_rollouts(connection: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return roll-outs, the newest first, each with how many of its devices are at which step, and how many failed."""
    counts: dict[int, dict[str, int]] = {}
    failed: dict[int, int] = {}
    of = rollout_devices.c
    for row in connection.execute(
        select(of.rollout, of.step, of.failure, func.count().label("n")).group_by(of.rollout, of.step, of.failure)
    ):
        steps = counts.setdefault(row.rollout, {})
        steps[row.step] = steps.get(row.step, 0) + row.n
        failed[row.rollout] = failed.get(row.rollout, 0) + (row.n if row.failure else 0)
    found = []
    for row in connection.execute(select(rollouts).order_by(rollouts.c.id.desc()).limit(limit)):
        steps = counts.get(row.id, {})
        found.append({
            "key": row.key, "kind": row.kind, "bundle": row.bundle_name, "version": row.bundle_version, "digest": row.digest,
            "release": row.release, "status": row.status, "wave": row.wave + 1, "waves": row.waves, "why": row.why,
            "actor": row.actor, "created_ms": row.created_ms, "ended_ms": row.ended_ms, "steps": steps,
            "devices": sum(count for step, count in steps.items() if step not in UNCOUNTED),
            "failed": failed.get(row.id, 0),
        })  # fmt: skip
    return found


def rollout_page(connection: Connection, key: str, now_ms: int) -> dict[str, Any]:
    """Return everything of one roll-out: waves, rules, devices (those in trouble first), what happened, what may be asked.

    Raises:
        InputError: there is none.
    """
    stored = load(connection, key)
    rollout = stored.rollout
    (brief,) = [one for one in list_rollouts(connection, limit=1_000_000) if one["key"] == key]
    waves = []
    for number in range(rollout.waves):
        members = rollout.of_wave(number)
        waves.append({
            "wave": number + 1, "devices": len(members), "done": sum(one.step is Step.CONFIRMED for one in members),
            "failed": sum(one.failure is not Failure.NONE for one in members), "current": number == rollout.wave,
        })  # fmt: skip
    # Once it has passed, whoever did not fail has promoted it, whatever came since.
    beside, passed = members_of(rollout), rollout.wave != SHADOW_WAVE
    order = sorted(rollout.devices.values(), key=lambda one: (one.failure is Failure.NONE, one.wave, one.node))
    devices = [
        {
            "node": one.node, "wave": one.wave + 1, "step": one.step.value, "failure": one.failure.value, "said": one.said,
            "why": one.why, "before": one.before, "excused": one.excused_at is not None,
            "told_ms": None if one.told_at is None else round(one.told_at * 1000),
            "confirmed_ms": None if one.confirmed_at is None else round(one.confirmed_at * 1000),
        }
        for one in order[:_DEVICES]
    ]  # fmt: skip
    happened = connection.execute(
        select(rollout_log).where(rollout_log.c.rollout == stored.id).order_by(rollout_log.c.id.desc()).limit(_LOG)
    )
    return {
        "shadow": None if not beside else {
            "devices": len(beside), "failed": sum(one.failure is not Failure.NONE for one in beside),
            "promoted": sum(one.failure is Failure.NONE and (passed or one.step in _PROMOTED) for one in beside),
        },
        **brief, "gates": waves, "policy": rollout.policy.model_dump(mode="json"), "shown": devices,
        "selection": stored.selection.to_json(), "may": [verb for verb in VERBS if may(rollout, verb)],
        "needs_reason": [verb for verb in VERBS if needs_reason(rollout, verb)],
        "driver": "" if rollout.status.ended else driver_problem(connection, now_ms),
        "asked": [one.verb for _, one in unheard(connection, stored.id)],
        "log": [
            {"at_ms": row.at_ms, "what": row.what, "devices": row.devices, "nodes": row.nodes or [], "why": row.why}
            for row in happened
        ],
    }  # fmt: skip


def driver_problem(connection: Connection, now_ms: int) -> str:
    """Return why roll-outs do not go on; empty where a service drives them."""
    row = connection.execute(select(jobs).where(jobs.c.name == JOB)).one_or_none()
    # A driver takes its lease anew at each look; one that has not for so long does not run.
    last_ms = 0 if row is None else max(row.ran_ms or 0, (row.held_until_ms or 0) - LEASE_MS)
    if now_ms - last_ms > LEASE_MS:
        return "No service drives roll-outs at present: edgesdk fleet serve"
    return row.problem if row is not None else ""
