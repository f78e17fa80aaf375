"""How each device stands to the configuration that its template wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from edgesdk.fleet.enrol.templates import drift, render
from edgesdk.fleet.store import enrolments, followers, templates


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
    stands = followers.standing(connection, node)
    given = dict(stands.configuration)
    if not stands.template:
        return render(given, ())
    body = templates.get_template(connection, stands.template).body
    return render(body, [*templates.overrides_of(connection, stands.template, stands.site, node), given])


def read_drift(connection: Connection, template: str = "") -> list[DeviceDrift]:
    """Return every device that follows a template, or that one, by name.

    Raises:
        InputError: the template that a device follows is gone.
    """
    # Each read once and put together here: two thousand devices share a few templates.
    given = enrolments.newest_configurations(connection)
    bodies = {one.name: one.body for one in templates.list_templates(connection)}
    laid_over = templates.every_override(connection)
    found = []
    for one in followers.find(connection, template):
        over = [laid_over.get((one.template, *scope), {}) for scope in (("site", one.site), ("node", one.node))]
        # One that is gone is an error in words.
        body = bodies[one.template] if one.template in bodies else templates.get_template(connection, one.template).body
        wanted = render(body, [*filter(None, over), given.get(one.node, {})])
        differs = drift(wanted, one.digest, one.applied)
        differs += [f"it refuses {refusal.get('what', '')}: {refusal.get('why', '')}" for refusal in one.refused]
        found.append(DeviceDrift(one.node, one.template, tuple(differs)))
    return found
