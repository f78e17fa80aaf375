"""Which devices follow which template, what they were given and what they report of it; `enrol.drift` compares the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from edgesdk.fleet.store import templates
from edgesdk.fleet.store.tables import enrolments, nodes, reported
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a device stands: its site, the template that it follows (empty: none), what its enrolment gave."""

    site: str
    template: str
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Follower:
    """One device that follows a template, as it reports itself.

    Attributes:
        digest: of its file; empty where it said none.
        applied: what was set from afar; refused: what it refuses, each with `what` and `why`.
    """

    node: str
    site: str
    template: str
    digest: str
    applied: Mapping[str, Any]
    refused: tuple[Mapping[str, Any], ...]


def standing(connection: Connection, node: str) -> Standing:
    """Return where a device stands, also one that is still to come.

    Raises:
        InputError: there is no such device.
    """
    ordered = connection.execute(
        select(enrolments.c.site, enrolments.c.template, enrolments.c.configuration)
        .where(enrolments.c.node == node, enrolments.c.revoked_ms.is_(None))
        # What was claimed last; of a device that is still to come, what was ordered.
        .order_by(enrolments.c.used_ms.is_(None), enrolments.c.used_ms.desc(), enrolments.c.id.desc())
        .limit(1)
    ).one_or_none()
    row = connection.execute(select(nodes.c.site, nodes.c.template).where(nodes.c.name == node)).one_or_none()
    known = row or ordered
    if known is None:
        raise InputError(f"There is no device {node[:140]}.", hint="edgesdk fleet enrolments")
    return Standing(known.site, known.template, {} if ordered is None else ordered.configuration or {})


def given_configuration(connection: Connection, node: str) -> dict[str, Any] | None:
    """Return what a device's file held when it was given it; None for one that was enrolled before that was kept."""
    found: dict[str, Any] | None = connection.execute(
        select(enrolments.c.given)
        .where(enrolments.c.node == node, enrolments.c.used_ms.is_not(None))
        .order_by(enrolments.c.used_ms.desc(), enrolments.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found


def names(connection: Connection, template: str) -> list[str]:
    """Return the devices that follow a template, by name.

    Raises:
        InputError: there is no such template.
    """
    templates.get_template(connection, template)
    query = select(nodes.c.name).where(nodes.c.template == template, nodes.c.revoked_ms.is_(None))
    return list(connection.execute(query.order_by(nodes.c.name)).scalars())


def find(connection: Connection, template: str = "") -> list[Follower]:
    """Return the devices that follow any template, or that one, by name."""
    query = (
        select(nodes.c.name, nodes.c.site, nodes.c.template, nodes.c.hardware, reported.c.applied, reported.c.refused)
        .join(reported, reported.c.node == nodes.c.id, isouter=True)
        .where(nodes.c.template != "", nodes.c.revoked_ms.is_(None))
        .order_by(nodes.c.name)
    )
    if template:
        query = query.where(nodes.c.template == template)
    found = []
    for row in connection.execute(query):
        applied = (row.applied or {}).get("config")
        digest = (row.hardware or {}).get("configuration", "")
        applied = applied if isinstance(applied, dict) else {}
        found.append(Follower(row.name, row.site, row.template, digest, applied, tuple(row.refused or ())))
    return found
