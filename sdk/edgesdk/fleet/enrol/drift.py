"""How each device stands to the configuration that its template wants, read from the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from edgesdk.fleet.enrol.templates import drift, render
from edgesdk.fleet.store import enrolments as enrolled
from edgesdk.fleet.store import templates
from edgesdk.fleet.store.tables import enrolments, nodes, reported
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class DeviceDrift:
    """One device: what it follows, and in what it differs; empty where it does not."""

    node: str
    template: str
    differs: tuple[str, ...]


def wanted_configuration(connection: Connection, node: str) -> dict[str, Any]:
    """Return what a device's file is to hold: template, its site's and its own overrides, what its enrolment gave.

    Raises:
        InputError: there is no such device, or its template is gone.
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
    given = {} if ordered is None else ordered.configuration or {}
    return _wanted(connection, node, known.site, known.template, given)


def given_configuration(connection: Connection, node: str) -> dict[str, Any] | None:
    """Return what a device's file held when it was given it; None for one that was enrolled before that was kept."""
    found: dict[str, Any] | None = connection.execute(
        select(enrolments.c.given)
        .where(enrolments.c.node == node, enrolments.c.used_ms.is_not(None))
        .order_by(enrolments.c.used_ms.desc(), enrolments.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found


def followers(connection: Connection, template: str) -> list[str]:
    """Return the devices that follow a template, by name.

    Raises:
        InputError: there is no such template.
    """
    templates.get_template(connection, template)
    query = (
        select(nodes.c.name).where(nodes.c.template == template, nodes.c.revoked_ms.is_(None)).order_by(nodes.c.name)
    )
    return list(connection.execute(query).scalars())


def read_drift(connection: Connection, template: str = "") -> list[DeviceDrift]:
    """Return every device that follows a template, or that one, by name."""
    query = (
        select(nodes.c.name, nodes.c.site, nodes.c.template, nodes.c.hardware, reported.c.applied, reported.c.refused)
        .join(reported, reported.c.node == nodes.c.id, isouter=True)
        .where(nodes.c.template != "", nodes.c.revoked_ms.is_(None))
        .order_by(nodes.c.name)
    )
    if template:
        query = query.where(nodes.c.template == template)
    # Each read once and put together here: two thousand devices share a few templates.
    given = enrolled.newest_configurations(connection)
    bodies = {one.name: one.body for one in templates.list_templates(connection)}
    laid_over = templates.every_override(connection)
    found = []
    for row in connection.execute(query).all():
        over = [laid_over.get((row.template, *scope), {}) for scope in (("site", row.site), ("node", row.name))]
        # One that is gone is an error in words.
        body = bodies[row.template] if row.template in bodies else templates.get_template(connection, row.template).body
        wanted = render(body, [*filter(None, over), given.get(row.name, {})])
        digest = (row.hardware or {}).get("configuration", "")
        applied = (row.applied or {}).get("config")
        differs = drift(wanted, digest, applied if isinstance(applied, dict) else {})
        differs += [f"it refuses {one.get('what', '')}: {one.get('why', '')}" for one in row.refused or ()]
        found.append(DeviceDrift(row.name, row.template, tuple(differs)))
    return found


def _wanted(connection: Connection, node: str, site: str, template: str, given: dict[str, Any]) -> dict[str, Any]:
    if not template:
        return render(given, ())
    body = templates.get_template(connection, template).body
    return render(body, [*templates.overrides_of(connection, template, site, node), given])
