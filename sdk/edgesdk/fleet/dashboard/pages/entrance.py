"""The way in: the first administrator, log-in and log-out."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Viewer
from edgesdk.fleet.service.api.users import USER_NAME
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security import csrf, known_browser
from edgesdk.fleet.service.security.access import LONGEST_S
from edgesdk.fleet.service.security.first_run import SetupCode
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.identify import identify
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.passwords import check_new, hash_password
from edgesdk.fleet.service.security.principal import SESSION_COOKIE, peer
from edgesdk.fleet.service.security.refusals import BadRequest, LoginNeeded, Refused, TooManyRequests
from edgesdk.fleet.service.security.roles import anyone
from edgesdk.fleet.store.people import User
from edgesdk_targets.errors import InputError

router = APIRouter()
_ENTRANCE_COOKIE = "edgesdk_entrance"
Anyone = Annotated[None, Depends(anyone)]


@router.get("/login")
async def login_page(request: Request, _who: Anyone) -> Response:
    """Show the log-in, or the set-up where there is nobody yet."""
    if await run_in_threadpool(parts_of(request).access.people.empty):
        return RedirectResponse("/setup", 303)
    if await identify(request) is not None:
        return RedirectResponse(_after(request.query_params.get("next", "")), 303)
    return _entrance(request, "login.html", name="", problem="", next=request.query_params.get("next", ""))


@router.post("/login")
async def log_in(request: Request, _who: Anyone) -> Response:
    """Begin a session."""
    form = await read_form(request)
    name, after = form.get("name", "")[:64], form.get("next", "")[:2000]
    csrf.check(request, request.cookies.get(_ENTRANCE_COOKIE, ""), form.get(csrf.FIELD, ""))
    access = parts_of(request).access
    try:
        agent = request.headers.get("user-agent", "")
        user, secret = await run_in_threadpool(
            partial(
                access.log_in, name, form.get("password", ""), peer=peer(request), agent=agent,
                browser=request.cookies.get(known_browser.COOKIE, ""),
            )
        )  # fmt: skip
    except TooManyRequests as refused:
        # No line in the audit log: whoever is over the limit could fill the disk with them.
        return _entrance(request, "login.html", refused=refused, name=name, problem=refused.message, next=after)
    except LoginNeeded as refused:
        await run_in_threadpool(note, request, name, "login", outcome="refused")
        return _entrance(request, "login.html", refused=refused, name=name, problem=refused.message, next=after)
    await run_in_threadpool(note, request, user.name, "login")
    return _with_session(request, user, secret, _after(after))


@router.get("/setup")
async def setup_page(request: Request, _who: Anyone) -> Response:
    """Show the set-up, while there is nobody yet."""
    if not await run_in_threadpool(parts_of(request).access.people.empty):
        return RedirectResponse("/login", 303)
    return _entrance(request, "setup.html", name="admin", code=request.query_params.get("code", "")[:64], problem="")


@router.post("/setup")
async def set_up(request: Request, _who: Anyone) -> Response:
    """Make the first administrator; needs the code that the service printed when it started."""
    form = await read_form(request)
    csrf.check(request, request.cookies.get(_ENTRANCE_COOKIE, ""), form.get(csrf.FIELD, ""))
    parts = parts_of(request)
    name, password, code = form.get("name", "")[:64], form.get("password", ""), form.get("code", "")[:64]
    setup: SetupCode = parts.access.setup
    try:
        parts.access.limits.logins.from_network(network_of(peer(request)))
        setup.check(code)
        _check_name(name)
        if password != form.get("again", ""):
            raise BadRequest("The two passwords differ.")
        stored = await run_in_threadpool(hash_password, check_new(password, name))
        user = await run_in_threadpool(parts.access.people.add_first, name, stored)
    except Refused as refused:
        return _entrance(request, "setup.html", refused=refused, name=name, code=code, problem=refused.message)
    except InputError as error:
        return _entrance(
            request, "setup.html", refused=BadRequest(error.message), name=name, code=code, problem=error.message
        )
    await run_in_threadpool(note, request, user.name, "setup", user.name)
    agent = request.headers.get("user-agent", "")
    secret = await run_in_threadpool(lambda: parts.access.begin(user, peer=peer(request), agent=agent))
    return _with_session(request, user, secret, "/")


@router.post("/logout")
def log_out(request: Request, who: Viewer) -> Response:
    """End this session."""
    parts_of(request).access.people.end_session(who.session)
    note(request, who, "logout")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def _entrance(request: Request, template: str, *, refused: Refused | None = None, **shown: Any) -> Response:
    secret = request.cookies.get(_ENTRANCE_COOKIE) or secrets.token_urlsafe(24)
    page = render(
        request, template, None, status=200 if refused is None else refused.status, csrf=csrf.token_for(secret), **shown
    )
    page.set_cookie(_ENTRANCE_COOKIE, secret, max_age=3600, **_cookie(request))
    return page


def _with_session(request: Request, user: User, secret: str, after: str) -> Response:
    answer = RedirectResponse(after, 303)
    answer.set_cookie(SESSION_COOKIE, secret, max_age=LONGEST_S, **_cookie(request))
    answer.delete_cookie(_ENTRANCE_COOKIE, path="/")
    told = {**_cookie(request), "path": "/login"}
    answer.set_cookie(
        known_browser.COOKIE, known_browser.cookie_for(user, time.time()), max_age=known_browser.LASTS_S, **told
    )
    return answer


def _cookie(request: Request) -> dict[str, Any]:
    # Lax: a link in an alert's e-mail still finds the session; forms from elsewhere are stopped by `csrf`.
    return {"path": "/", "httponly": True, "samesite": "lax", "secure": bool(request.app.state.https)}


def _after(where: str) -> str:
    """Return a place of ours to go to; what begins with two slashes, of either kind, leads elsewhere."""
    inside = where.startswith("/") and not where.startswith(("//", "/\\")) and where.isprintable()
    return where if inside else "/"


def _check_name(name: str) -> None:
    import re

    if not re.fullmatch(USER_NAME, name):
        raise BadRequest("A name has up to 64 letters, digits and . _ @ -, and begins with a letter or digit.")
