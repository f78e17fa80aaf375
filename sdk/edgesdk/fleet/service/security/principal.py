"""Who asks: a person's session by cookie, or a program's API token by header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from edgesdk.fleet.service.security import csrf
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.secrets_of_requests import TOKEN_PREFIX, stored_form

if TYPE_CHECKING:
    from edgesdk.fleet.service.security.access import Access

SESSION_COOKIE = "edgesdk_session"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who is logged in, or a token acting for one.

    Attributes:
        user_id, name: of the person; role: what may be done, of a token never more than its owner's.
        csrf: what this session's forms carry; empty for a token, which no browser sends by itself.
        token: the token's name; empty for a session.
        session: the stored form of the session's secret; empty for a token.
        stored_token: the stored form of the token; empty for a session.
    """

    user_id: int
    name: str
    role: str
    csrf: str = ""
    token: str = ""
    session: str = ""
    stored_token: str = ""

    @property
    def asker(self) -> str:
        """Under which the audit log and the rate limits know who it was."""
        return f"{self.name}/{self.token}" if self.token else self.name


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


def peer(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else "unknown"
