"""Roles, and the rule that every route names the one it needs.

    viewer ⊂ operator ⊂ admin;  `Anyone` is for what must be reachable before logging in.

A route is declared with `Depends(allow(Role.VIEWER))` or `Depends(anyone)`. `check_routes` refuses an application that
has a route with neither, so a forgotten declaration is an application that does not start, not an open door.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from edgesdk.fleet.service.security.identify import identify
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import Forbidden, LoginNeeded
from edgesdk.fleet.service.security.role import Role


class Allow:
    """A dependency of a route: lets through who has the role, with a valid CSRF token where a cookie says who it is.

    Attributes:
        role: the least that is needed; None lets everyone in.
    """

    def __init__(self, role: Role | None) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Principal | None:
        """Return who asks.

        Raises:
            LoginNeeded: nobody that is known.
            Forbidden: the role is not enough, or the request was forged.
            TooManyRequests: this one asks too often.
        """
        if self.role is None:
            return None
        principal = await identify(request)
        if principal is None:
            raise LoginNeeded
        if not Role(principal.role).covers(self.role):
            raise Forbidden(f"This needs the role {self.role.value}; {principal.name} is {principal.role}.")
        return principal


anyone = Allow(None)
_BY_ROLE = {role: Allow(role) for role in Role}


def allow(role: Role) -> Allow:
    """Return the dependency that lets through who has at least this role."""
    return _BY_ROLE[role]


def declared_role(route: APIRoute) -> Allow | None:
    """Return what a route declares, or None where it declares nothing, or more than one thing."""
    found = [dependency.call for dependency in route.dependant.dependencies if isinstance(dependency.call, Allow)]
    return found[0] if len(found) == 1 else None


def check_routes(app: FastAPI, exempt: AbstractSet[int] = frozenset()) -> None:
    """Refuse an application in which somebody forgot to say who may use a route.

    Args:
        exempt: ids of routes that ask for a proof of their own; whoever makes the application names them on purpose.

    Raises:
        AssertionError: a programming error: names the routes.
    """
    routes = [route for route in app.routes if id(route) not in exempt]
    bare = [_name(route) for route in routes if isinstance(route, APIRoute) and declared_role(route) is None]
    # What FastAPI adds by itself (its documentation pages) or a mount would pass every check by.
    bare += [_name(route) for route in routes if not isinstance(route, APIRoute)]
    if bare:
        raise AssertionError(f"routes without exactly one declared role: {', '.join(bare)}")


def _name(route: Any) -> str:
    return f"{'/'.join(sorted(getattr(route, 'methods', None) or ['?']))} {getattr(route, 'path', route)}"
