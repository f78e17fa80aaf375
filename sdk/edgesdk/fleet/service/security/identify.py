"""Finds who asks, once for each request."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from edgesdk.fleet.service.security import csrf
from edgesdk.fleet.service.security.access import Access
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.principal import SESSION_COOKIE, Principal, peer
from edgesdk.fleet.service.security.secrets_of_requests import TOKEN_PREFIX, stored_form


async def identify(request: Request) -> Principal | None:
    """Return who asks, or None; the answer is kept with the request.

    Raises:
        Forbidden: a session's request that changes something does not come from our own page.
        TooManyRequests: this one asks too often.
    """
    access: Access = request.app.state.access
    if "principal" in request.scope.get("state", {}):
        return request.state.principal  # type: ignore[no-any-return]
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    principal: Principal | None = None
    if scheme.lower() == "bearer":
        if bearer.startswith(TOKEN_PREFIX):
            principal = await run_in_threadpool(access.by_token, stored_form(bearer))
    elif secret := request.cookies.get(SESSION_COOKIE, ""):
        principal = await run_in_threadpool(access.by_session, secret)
        if principal is not None and request.method not in csrf.SAFE:
            given = request.headers.get(csrf.HEADER) or (await read_form(request)).get(csrf.FIELD, "")
            csrf.check(request, secret, given)
    access.limits.ask(principal.asker if principal else network_of(peer(request)))
    request.state.principal = principal
    return principal
