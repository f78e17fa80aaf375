"""Configuration templates and what differs from them, in the store; what they come to is computed by `enrol.templates`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from edgesdk.fleet.store.tables import nodes, template_overrides, templates
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it is kept; `version` grows with each change of it or of what is laid over it."""

    name: str
    version: int
    body: dict[str, Any]
    note: str
    updated_ms: int


def put_template(
    connection: Connection, name: str, body: dict[str, Any], actor: str, now_ms: int, note: str = ""
) -> int:
    """Write a template, new or anew, and return its version."""
    row = connection.execute(select(templates.c.id, templates.c.version).where(templates.c.name == name)).one_or_none()
    if row is None:
        connection.execute(
            insert(templates).values(
                name=name, version=1, body=body, note=note, actor=actor, created_ms=now_ms, updated_ms=now_ms
            )
        )
        return 1
    version = int(row.version) + 1
    connection.execute(
        update(templates)
        .where(templates.c.id == row.id)
        .values(version=version, body=body, actor=actor, updated_ms=now_ms, **({"note": note} if note else {}))
    )
    return version


def put_override(
    connection: Connection, template: str, scope: str, name: str, body: dict[str, Any] | None, actor: str, now_ms: int
) -> None:
    """Write what differs at a site (`scope` is `site`) or on one device (`node`); None takes it away.

    Raises:
        InputError: there is no such template.
    """
    row = connection.execute(select(templates.c.id).where(templates.c.name == template)).scalar_one_or_none()
    if row is None:
        raise _unknown(template)
    here = and_(
        template_overrides.c.template == row, template_overrides.c.scope == scope, template_overrides.c.name == name
    )
    connection.execute(delete(template_overrides).where(here))
    if body is not None:
        connection.execute(
            insert(template_overrides).values(
                template=row, scope=scope, name=name, body=body, actor=actor, updated_ms=now_ms
            )
        )
    changed = update(templates).where(templates.c.id == row)
    connection.execute(changed.values(version=templates.c.version + 1, updated_ms=now_ms))


def get_template(connection: Connection, name: str) -> Template:
    """Return a template.

    Raises:
        InputError: there is none of this name.
    """
    row = connection.execute(select(templates).where(templates.c.name == name)).one_or_none()
    if row is None:
        raise _unknown(name)
    return Template(row.name, row.version, row.body or {}, row.note, row.updated_ms)


def list_templates(connection: Connection) -> list[Template]:
    """Return all templates by name."""
    rows = connection.execute(select(templates).order_by(templates.c.name))
    return [Template(row.name, row.version, row.body or {}, row.note, row.updated_ms) for row in rows]


def overrides_of(connection: Connection, template: str, site: str, node: str) -> list[dict[str, Any]]:
    """Return what is laid over a template for one device: its site's first, its own last."""
    query = (
        select(template_overrides.c.scope, template_overrides.c.name, template_overrides.c.body)
        .join(templates, templates.c.id == template_overrides.c.template)
        .where(templates.c.name == template)
    )
    found = {(scope, name): body for scope, name, body in connection.execute(query)}
    return [found[key] for key in (("site", site), ("node", node)) if found.get(key)]


def every_override(connection: Connection) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return all that is laid over templates, by template, scope (`site`, `node`) and name."""
    query = select(
        templates.c.name, template_overrides.c.scope, template_overrides.c.name, template_overrides.c.body
    ).join(templates, templates.c.id == template_overrides.c.template)
    return {(template, scope, name): body for template, scope, name, body in connection.execute(query) if body}


def delete_template(connection: Connection, name: str) -> None:
    """Remove a template that no device follows.

    Raises:
        InputError: there is none, or devices follow it.
    """
    get_template(connection, name)
    follower = connection.execute(select(nodes.c.name).where(nodes.c.template == name)).scalars().first()
    if follower is not None:
        raise InputError(f"{follower} follows the template {name}.", hint="Give it another one first.")
    connection.execute(delete(templates).where(templates.c.name == name))


def _unknown(name: str) -> InputError:
    return InputError(f"There is no template {name[:80]!r}.", hint="edgesdk fleet template ls")
