"""What devices say of a roll-out's bundle, read from their births, reports and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from edgesdk.fleet.rollout.model import Step
from edgesdk.fleet.rollout.seen import UNDER_WAY, Member, Report, Word
from edgesdk.fleet.rollout.shelf import Shelved
from edgesdk.fleet.store.devices import JOINED
from edgesdk.fleet.store.rollout_busy import busy_elsewhere
from edgesdk.fleet.store.rollout_fit import RUNS_IT, executing, fit_columns, unfit
from edgesdk.fleet.store.rollouts import Stored
from edgesdk.fleet.store.tables import events, nodes, reported

_STEP, _REFUSED = "update_step", "update_refused"
_AT_ONCE = 500
_WHY_CHARACTERS = 500
# Of these something is still to come that was said as an event.
_OPEN = frozenset(
    {Step.SHADOWING, Step.SHADOWED, Step.TOLD, Step.UPDATING, Step.FAILED, Step.LEAVING, Step.STAYS, Step.RETURNED}
)


def read_reports(connection: Connection, stored: Stored) -> dict[str, Report]:
    """Return how each device of a roll-out is; one that was removed or revoked is left out."""
    rollout = stored.rollout
    runs = executing(stored.kind)
    said = reported.c
    asked = select(nodes.c.name, nodes.c.id, runs, said.version, said.refused, said.active, said.step).join_from(
        nodes, reported, said.node == nodes.c.id, isouter=True
    )
    words, under_way = _words(connection, stored)
    found: dict[str, Report] = {}
    for part in _parts(sorted(stored.numbers.values())):
        for row in connection.execute(asked.where(nodes.c.id.in_(part), nodes.c.revoked_ms.is_(None))):
            refuses = [one.get("why", "") for one in row.refused or () if one.get("what") == "update"]
            found[row.name] = Report(
                node=row.name, executing=row.executing, word=words.get(row.id), answered=row.version or 0,
                refuses=str(refuses[0])[:_WHY_CHARACTERS] if refuses else "",
                under_way=row.id in under_way or row.step in UNDER_WAY,
                settled=bool(row.step) and row.step not in UNDER_WAY, keeps=_keeps(row, stored),
            )  # fmt: skip
    return {name: one for name, one in found.items() if name in rollout.devices}


def _keeps(row: Row[Any], stored: Stored) -> bool:
    """Tell whether a device says that the release is installed and confirmed; one that is on trial runs it as well."""
    active = row.active.get("digest") if isinstance(row.active, Mapping) else ""
    # In one message, so that both are of the same moment; which agent runs is said in another one.
    installed = row.executing if stored.kind == "agent" else active
    return bool(row.step == "confirmed" and stored.rollout.digest == installed == row.executing)


def read_members(connection: Connection, stored: Stored, bundle: Shelved, now_ms: int) -> list[Member]:
    """Return who fits the selection now, but for those that another roll-out has in hand."""
    busy = busy_elsewhere(connection, stored.id)
    asked = (
        select(*fit_columns(bundle.kind))
        .select_from(JOINED)
        .where(*stored.selection.where(now_ms), nodes.c.revoked_ms.is_(None))
    )
    found = []
    for row in connection.execute(asked):
        if row.id not in busy:
            why = unfit(row, bundle)
            found.append(Member(row.name, row.executing, "" if why == RUNS_IT else why))
    return found


def _words(connection: Connection, stored: Stored) -> tuple[dict[int, Word], set[int]]:
    """Return each device's last word on the bundle since it was told, by its row; and which have any update under way."""
    digest = stored.rollout.digest
    since = {
        stored.numbers[name]: round(one.told_at * 1000)
        for name, one in stored.rollout.devices.items()
        if one.step in _OPEN and one.told_at is not None
    }
    found: dict[int, Word] = {}
    last: dict[int, str] = {}
    for part in _parts(sorted(since)):
        asked = (
            select(events.c.node, events.c.name, events.c.received_ms, events.c.message, events.c.data)
            .where(
                events.c.node.in_(part), events.c.name.in_((_STEP, _REFUSED)),
                events.c.received_ms >= min(since[node] for node in part),
            )
            .order_by(events.c.stream, events.c.seq)
        )  # fmt: skip
        for row in connection.execute(asked):
            if row.received_ms < since[row.node]:
                continue
            if row.name == _STEP and isinstance(row.data, dict):
                last[row.node] = str(row.data.get("step", ""))
            if (word := _word(row, digest)) is not None:
                found[row.node] = word
    return found, {node for node, step in last.items() if step in UNDER_WAY}


def _word(row: Any, digest: str) -> Word | None:
    data: Mapping[str, Any] = row.data if isinstance(row.data, dict) else {}
    if data.get("id") != digest:
        return None
    if row.name == _REFUSED:
        step = "refused" if data.get("do") == "install" else "stays"
        return Word(step, row.received_ms / 1000, row.message[:_WHY_CHARACTERS])
    step, shadow = str(data.get("step", ""))[:40], data.get("shadow")
    verdict = str(shadow.get("verdict", ""))[:40] if isinstance(shadow, dict) else ""
    # What a shadow run promoted is no failure, and said in the message alone.
    why = str(data.get("why") or (row.message if verdict and step == "staged" else ""))
    return Word(step, row.received_ms / 1000, why[:_WHY_CHARACTERS], verdict)


def _parts(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    return (numbers[first : first + _AT_ONCE] for first in range(0, len(numbers), _AT_ONCE))
