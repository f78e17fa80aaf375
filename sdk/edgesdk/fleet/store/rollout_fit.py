"""For whom a release is: what each device runs of its kind, and why it would not get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, case, literal

from edgesdk.fleet.rollout.shelf import Shelved
from edgesdk.fleet.store.tables import nodes
from edgesdk_targets.agent_release.agent_release import Kind

RUNS_IT = "it runs this release already"


def executing(kind: Kind) -> ColumnElement[str]:
    """Return what a device runs of a kind, as a column of `nodes`; empty while it never said."""
    if kind == "bundle":
        return nodes.c.bundle_digest.label("executing")
    # An agent that was installed otherwise has no digest. It is something all the same, which one may go back to.
    installed = literal("installed ") + nodes.c.agent_version
    known = case((nodes.c.agent_digest != "", nodes.c.agent_digest), (nodes.c.agent_version != "", installed), else_="")
    return known.label("executing")


def fit_columns(kind: Kind) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of `nodes` that `unfit` reads."""
    return nodes.c.id, nodes.c.name, nodes.c.target, nodes.c.hardware, executing(kind)


def unfit(row: Row[Any], release: Shelved) -> str:
    """Return why a release is nothing for a device; one that never said what it is decides for itself."""
    if row.executing == release.digest:
        return RUNS_IT
    hardware = row.hardware if isinstance(row.hardware, Mapping) else {}
    return release.unfit(row.target, hardware)
