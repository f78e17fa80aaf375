"""People: who may log in, and as what; for admins."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api import users as api
from edgesdk.fleet.service.api.asked import Admin
from edgesdk.fleet.service.api.users import NewUser, UserChange, UserName
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Refused
from edgesdk.fleet.service.security.role import Role
from edgesdk_targets.errors import InputError

router = APIRouter()


@router.get("/people")
def people_page(request: Request, who: Admin) -> Response:
    """Show everybody."""
    return _page(request, who)


@router.post("/people")
async def let_in(request: Request, who: Admin) -> Response:
    """Let somebody in."""
    form = await read_form(request)
    try:
        asked = NewUser(
            name=form.get("name", ""), role=Role(form.get("role", "")), password=form.get("password", "")[:256]
        )
        await run_in_threadpool(api.add, request, who, asked)
    except (Refused, InputError, ValueError) as wrong:
        words = getattr(wrong, "message", "A name has letters, digits and . _ @ -; choose a role.")
        return await run_in_threadpool(partial(_page, request, who, problem=words, name=form.get("name", "")[:64]))
    return RedirectResponse("/people", 303)


@router.post("/people/{name}")
async def change(request: Request, who: Admin, name: UserName) -> Response:
    """Give somebody another role, keep them out, or let them in again."""
    form = await read_form(request)
    try:
        asked = UserChange.model_validate({key: form[key] for key in ("role", "disabled") if key in form})
    except ValidationError as error:
        raise BadRequest("There is no such role.") from error
    try:
        await run_in_threadpool(api.change, request, who, name, asked)
    except InputError as error:
        return await run_in_threadpool(partial(_page, request, who, problem=error.message))
    return RedirectResponse("/people", 303)


def _page(request: Request, who: Principal, *, problem: str = "", name: str = "") -> Response:
    return render(
        request, "people.html", who, status=400 if problem else 200, users=parts_of(request).access.people.all(),
        roles=[role.value for role in Role], problem=problem, name=name,
    )  # fmt: skip
