"""What differs from a template at a site or on one device, as a form; for admins."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api import template_overrides as api
from edgesdk.fleet.service.api.asked import Admin, PlainName
from edgesdk.fleet.service.api.templates import one_template
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Refused
from edgesdk.fleet.store import templates as store
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.followers import find
from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import dump_yaml, parse_yaml

router = APIRouter()
# Of sites and devices that are offered while somebody types.
_OFFERED = 200


@router.get("/templates/{name}/override")
def override_page(
    request: Request, who: Admin, name: PlainName, scope: api.Scope = "site",
    where: Annotated[str, Query(max_length=200)] = "",
) -> Response:  # fmt: skip
    """Show the form of what differs somewhere, or of what is still to differ."""
    with reading(parts_of(request).engine) as connection:
        one_template(connection, name)
        body = store.every_override(connection).get((name, scope, where))
    return _form(request, who, name, scope, where, dump_yaml(body) if body else "")


@router.post("/templates/{name}/override")
async def save_override(request: Request, who: Admin, name: PlainName) -> Response:
    """Lay something over a template."""
    form = await read_form(request)
    scope, where, text = form.get("scope", ""), form.get("where", "").strip(), form.get("text", "")
    try:
        await run_in_threadpool(_save, request, who, name, scope, where, text)
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        return await run_in_threadpool(partial(_form, request, who, name, scope, where, text, refused=refused))
    return RedirectResponse(f"/templates/{name}", 303)


@router.post("/templates/{name}/override/delete")
async def delete_override(request: Request, who: Admin, name: PlainName) -> Response:
    """Take away what differs at a site or on a device."""
    form = await read_form(request)
    await run_in_threadpool(api.remove_override, request, who, name, form.get("scope", ""), form.get("where", ""))
    return RedirectResponse(f"/templates/{name}", 303)


def _save(request: Request, who: Principal, name: str, scope: str, where: str, text: str) -> None:
    api.keep_override(request, who, name, scope, where, parse_yaml(text, source="What differs").data)


def _form(
    request: Request, who: Principal, name: str, scope: str, where: str, text: str, *, refused: Refused | None = None
) -> Response:
    with reading(parts_of(request).engine) as connection:
        template = one_template(connection, name)
        known = (name, scope, where) in store.every_override(connection)
        followers = find(connection, name)
    sites = sorted({one.site for one in followers if one.site})
    return render(
        request, "template_override.html", who, status=200 if refused is None else refused.status, name=name,
        scope=scope, where=where, text=text, known=known, body=dump_yaml(template.body) if template.body else "",
        sites=sites[:_OFFERED], nodes=[one.node for one in followers[:_OFFERED]], refused=refused,
    )  # fmt: skip
