"""Configuration templates: what they say, who differs, and bringing a change to those that follow one; for admins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.enrol.drift import read_drift
from edgesdk.fleet.enrol.template_push import Pushed
from edgesdk.fleet.service.api import templates as api
from edgesdk.fleet.service.api.asked import PLAIN_NAME, Admin, PlainName
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Conflict, NotFound, Refused, Unavailable
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.templates import list_templates
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.yaml_file import dump_yaml, parse_yaml

router = APIRouter()
# Those that differ come first; beyond, `edgesdk fleet template drift` has all of them.
_SHOWN = 200


@router.get("/templates")
def templates_page(request: Request, who: Admin) -> Response:
    """Show every template, who follows it and who differs."""
    with reading(parts_of(request).engine) as connection:
        found = api.read_templates(connection)
    return render(request, "templates.html", who, found=found)


@router.get("/new-template")
def new_template_page(request: Request, who: Admin) -> Response:
    """Show the form of a template that is still to be made."""
    return _form(request, who)


@router.post("/templates")
async def save_template(request: Request, who: Admin) -> Response:
    """Make a template, or change the one of this name."""
    form = await read_form(request)
    before, text = form.get("before", ""), form.get("text", "")
    name = before or form.get("name", "").strip()
    try:
        await run_in_threadpool(partial(_save, request, who, name, text, form.get("note", "").strip(), new=not before))
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        return _form(request, who, name=before, typed=name, text=text, words=form.get("note", ""), refused=refused)
    return RedirectResponse(f"/templates/{name}", 303)


@router.get("/templates/{name}")
def template_page(request: Request, who: Admin, name: PlainName) -> Response:
    """Show what a template says, and how its devices stand to it."""
    return _page(request, who, name)


@router.get("/templates/{name}/change")
def change_template_page(request: Request, who: Admin, name: PlainName) -> Response:
    """Show the form of a template."""
    with reading(parts_of(request).engine) as connection:
        found = api.one_template(connection, name)
    return _form(request, who, name=name, text=dump_yaml(found.body), words=found.note)


@router.post("/templates/{name}/push")
async def push_template(request: Request, who: Admin, name: PlainName) -> Response:
    """Bring what the template says to its devices, and show what became of each."""
    form = await read_form(request)
    expect, pushed = form.get("expect", ""), list[Pushed]()
    refused: Refused | None = None
    try:
        if "sure" not in form:
            raise BadRequest("Nothing was sent.", hint="Tick that you mean it.")
        number = int(expect) if expect.isascii() and expect.isdigit() and len(expect) < 8 else None
        pushed = await api.push_now(request, who, name, expect=number)
    except NotFound:
        raise
    except Refused as wrong:
        refused = wrong
    except EdgeError as wrong:
        refused = Unavailable(wrong.message, hint=wrong.hint)
    return await run_in_threadpool(partial(_page, request, who, name, pushed=pushed, refused=refused))


@router.post("/templates/{name}/delete")
def delete_template(request: Request, who: Admin, name: PlainName) -> Response:
    """Remove a template that no device follows."""
    try:
        api.remove_template(request, who, name)
    except Conflict as refused:
        return _page(request, who, name, refused=refused)
    return RedirectResponse("/templates", 303)


def _save(request: Request, who: Principal, name: str, text: str, words: str, *, new: bool) -> None:
    """Keep what a form says.

    Raises:
        InputError: a field cannot be used.
        Conflict: a new template has the name of another.
    """
    if not re.fullmatch(PLAIN_NAME, name):
        raise InputError(f"{name[:40]!r} is no name for a template.", hint="Up to 64 letters, digits, _ and -.")
    with reading(parts_of(request).engine) as connection:
        known = {one.name for one in list_templates(connection)}
    if new and name in known:
        raise Conflict(f"There is a template {name} already.", hint="Change that one, or take another name.")
    api.keep_template(request, who, name, parse_yaml(text, source="The template").data, words)


def _form(
    request: Request, who: Principal, *, name: str = "", typed: str = "", text: str = "", words: str = "",
    refused: Refused | None = None,
) -> Response:  # fmt: skip
    return render(
        request, "template_form.html", who, status=200 if refused is None else refused.status, name=name, typed=typed,
        text=text, words=words, refused=refused,
    )  # fmt: skip


def _page(
    request: Request, who: Principal, name: str, *, pushed: Sequence[Pushed] = (), refused: Refused | None = None
) -> Response:
    parts = parts_of(request)
    with reading(parts.engine) as connection:
        found = api.one_template(connection, name)
        drifts = sorted(read_drift(connection, name), key=lambda one: (not one.differs, one.node))
        laid_over = [{**one, "body": dump_yaml(one["body"])} for one in api.overrides(connection, name)]
    return render(
        request, "template.html", who, status=200 if refused is None else refused.status, shown=found,
        body=dump_yaml(found.body) if found.body else "", overrides=laid_over, drifts=drifts[:_SHOWN],
        devices=len(drifts), differing=sum(bool(one.differs) for one in drifts), pushed=pushed, refused=refused,
        broker=parts.broker is not None,
    )  # fmt: skip
