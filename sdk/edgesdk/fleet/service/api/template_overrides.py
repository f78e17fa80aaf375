"""What differs from a template at a site or on one device."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from edgesdk.fleet.enrol.templates import check_place, check_template
from edgesdk.fleet.service.api.asked import Admin, PlainName
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.store import templates as store
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.plain_text import plain_json
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1/templates", tags=["templates"])

Scope = Literal["site", "node"]
_Where = Annotated[str, Field(min_length=1, max_length=200)]


class Override(BaseModel):
    """What is laid over a template, and where.

    Attributes:
        scope: `site` or `node`; name: of the site, or `tenant.device`.
        body: a part of `edgesdk.yaml`; null in it takes a field of the template away.
    """

    model_config = ConfigDict(extra="forbid")

    scope: Scope
    name: _Where
    body: Annotated[dict[str, JsonValue], Field(min_length=1, max_length=64)]


@router.put("/{name}/overrides")
def put(request: Request, who: Admin, name: PlainName, asked: Override) -> dict[str, Any]:
    """Write what differs at a site or on a device; it has that when it enrols, or when the template is pushed."""
    version = keep_override(request, who, name, asked.scope, asked.name, asked.body)
    return {"template": name, "version": version, "scope": asked.scope, "name": asked.name}


@router.delete("/{name}/overrides")
def delete(
    request: Request, who: Admin, name: PlainName, scope: Scope,
    where: Annotated[str, Query(min_length=1, max_length=200, description="The site, or tenant.device.")],
) -> dict[str, Any]:  # fmt: skip
    """Take away what differs at a site or on a device."""
    return {"template": name, "version": remove_override(request, who, name, scope, where)}


def keep_override(request: Request, who: Principal, template: str, scope: str, where: str, body: object) -> int:
    """Lay something over a template for whoever asks, note it, and return the template's version.

    Raises:
        NotFound: there is no such template.
        InputError: there is no such place, or the body says nothing, or what only a device itself can.
    """
    check_place(scope, where)
    checked = plain_json(check_template(body))
    if not checked:
        raise InputError("This says nothing.", hint="Take it away, where nothing is to differ.")
    version = _write(request, who, template, scope, where, checked)
    note(request, who, "template.override", template, scope=scope, name=where, version=version)
    return version


def remove_override(request: Request, who: Principal, template: str, scope: str, where: str) -> int:
    """Take away what is laid over a template for whoever asks, note it, and return the template's version.

    Raises:
        NotFound: there is no such template, or nothing differs there.
    """
    version = _write(request, who, template, scope, where, None)
    note(request, who, "template.override.delete", template, scope=scope, name=where, version=version)
    return version


def _write(request: Request, who: Principal, template: str, scope: str, where: str, body: dict[str, Any] | None) -> int:
    with writing(parts_of(request).engine) as connection:
        try:
            store.get_template(connection, template)
        except InputError as error:
            raise NotFound(f"There is no template {template}.") from error
        if body is None and (template, scope, where) not in store.every_override(connection):
            raise NotFound(f"Nothing differs from {template} there.")
        store.put_override(connection, template, scope, where, body, who.asker, now_ms())
        return store.get_template(connection, template).version
