"""How devices of a roll-out did before, as it is kept with the roll-out: what they are compared with outlives their samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.rollout.health import Figures
from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.tables import rollout_baselines

_NAMES = frozenset(one.name for one in fields(Figures))


@dataclass(frozen=True, slots=True)
class Baseline:
    """A device's figures before a time."""

    until_ms: int
    figures: Figures


def read_baselines(connection: Connection, rollout: int) -> dict[int, Baseline]:
    """Return what is kept for a roll-out, by the row of each device."""
    kept = rollout_baselines.c
    asked = select(kept.node, kept.until_ms, kept.figures).where(kept.rollout == rollout)
    rows = connection.execute(asked)
    return {row.node: Baseline(row.until_ms, _figures(row.figures)) for row in rows if row.figures is not None}


def _figures(kept: Mapping[str, Any]) -> Figures:
    """Return what another release may have kept: what it did not know is not known, and what only it knows is left out."""
    return Figures(**{name: kept[name] for name in _NAMES & kept.keys()})


def keep_baselines(connection: Connection, rollout: int, baselines: Mapping[int, Baseline]) -> None:
    """Keep these, in place of what was kept of the same devices."""
    if not baselines:
        return
    new = (sqlite.insert if is_sqlite(connection) else postgresql.insert)(rollout_baselines)
    changed = {name: new.excluded[name] for name in ("until_ms", "figures")}
    connection.execute(
        new.on_conflict_do_update(index_elements=["rollout", "node"], set_=changed), list(_rows(rollout, baselines))
    )


def _rows(rollout: int, baselines: Mapping[int, Baseline]) -> Iterable[dict[str, Any]]:
    for node, one in sorted(baselines.items()):
        figures = asdict(one.figures) | {"seen": dict(one.figures.seen)}
        yield {"rollout": rollout, "node": node, "until_ms": one.until_ms, "figures": figures}
