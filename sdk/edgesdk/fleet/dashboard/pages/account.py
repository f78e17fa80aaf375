"""One's own account: password and API tokens."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import RowId, Viewer
from edgesdk.fleet.service.api.tokens import NewToken, withdraw
from edgesdk.fleet.service.api.tokens import add as add_token
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.passwords import check_new, hash_password, verify_password
from edgesdk.fleet.service.security.principal import Principal, peer
from edgesdk.fleet.service.security.refusals import BadRequest, Forbidden, Refused
from edgesdk.fleet.service.security.role import Role

router = APIRouter()


@router.get("/account")
def account_page(request: Request, who: Viewer) -> Response:
    """Show who is logged in, and their tokens."""
    return _page(request, who)


@router.post("/account/password")
async def change_password(request: Request, who: Viewer) -> Response:
    """Take another password; every other session ends."""
    form = await read_form(request)
    try:
        await run_in_threadpool(_change, request, who, form)
    except Refused as refused:
        return await run_in_threadpool(partial(_page, request, who, problem=refused.message, status=refused.status))
    return await run_in_threadpool(partial(_page, request, who, done="Your password is changed. Other sessions ended."))


@router.post("/account/tokens")
async def new_token(request: Request, who: Viewer) -> Response:
    """Make a token and show it, once."""
    form = await read_form(request)
    days = form.get("days", "90")
    try:
        asked = NewToken(
            name=form.get("name", ""), role=Role(form.get("role", "viewer")), days=int(days) if days != "0" else None
        )
        made = await run_in_threadpool(add_token, request, who, asked)
    except Refused as refused:
        return await run_in_threadpool(partial(_page, request, who, problem=refused.message, status=refused.status))
    except ValueError:
        return await run_in_threadpool(partial(_page, request, who, problem="Give the token a name.", status=400))
    return await run_in_threadpool(partial(_page, request, who, token=made["token"]))


@router.post("/account/tokens/{row}/withdraw")
def withdraw_token(request: Request, who: Viewer, row: RowId) -> Response:
    """Make one of one's tokens worthless."""
    withdraw(request, who, row)
    return RedirectResponse("/account", 303)


def _change(request: Request, who: Principal, form: dict[str, str]) -> None:
    access = parts_of(request).access
    if who.token:
        raise Forbidden("A token cannot change a password.", hint="Log in.")
    access.limits.logins.from_network(network_of(peer(request)))
    access.limits.logins.for_name(who.name, f"session {who.session}")
    user = access.people.user_named(who.name)
    if user is None or not verify_password(user.password_hash, form.get("old", "")):
        raise BadRequest("The present password is wrong.")
    if form.get("new", "") != form.get("again", ""):
        raise BadRequest("The two new passwords differ.")
    access.people.set_password(user.id, hash_password(check_new(form.get("new", ""), who.name)))
    access.people.end_sessions(user.id, but=who.session)
    note(request, who, "password.change", who.name)


def _page(
    request: Request, who: Principal, *, problem: str = "", done: str = "", token: str = "", status: int = 200
) -> Response:
    tokens = parts_of(request).access.people.tokens(who.user_id)
    roles = [role.value for role in Role if Role(who.role).covers(role)]
    return render(
        request, "account.html", who, status=status, tokens=tokens, roles=roles, problem=problem, done=done, token=token
    )
