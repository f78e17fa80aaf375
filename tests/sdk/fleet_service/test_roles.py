"""Every route, with nobody, with each role and with a forged form. The table is the routes themselves: none is left out."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.service.security.roles import check_routes, declared_role
from edgesdk_testkit.fleet_service import FleetService

# What is reachable before logging in; a new one is added here on purpose, or this file fails.
OPEN = {("GET", "/healthz"), ("GET", "/login"), ("POST", "/login"), ("GET", "/setup"), ("POST", "/setup"),
        ("GET", "/static/{digest}/{name:path}")}  # fmt: skip
STREAMS = {"/api/v1/live", "/api/v1/devices/{node}/live"}
PLACES = {"{node}": "local.cam-0000", "{row}": "1", "{name}": "nobody", "{command_id}": "c1"}


def routes(service: FleetService) -> list[tuple[str, APIRoute]]:
    return [
        (method, route)
        for route in service.app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]


def address(route: APIRoute) -> str:
    path = route.path
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path


def ask(client: httpx.Client, method: str, route: APIRoute, **more: object) -> int:
    with client.stream(method, address(route), **more) as answer:  # type: ignore[arg-type]
        return answer.status_code


def test_every_route_declares_one_role(service: FleetService) -> None:
    found = routes(service)
    assert len(found) > 45
    assert all(declared_role(route) is not None for _, route in found)
    open_ones = {(method, route.path) for method, route in found if declared_role(route).role is None}  # type: ignore[union-attr]
    assert open_ones == OPEN


def test_a_route_without_a_role_stops_the_start() -> None:
    """Negative control: the guard is not a formality."""
    app, router = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), APIRouter()

    @router.get("/forgotten")
    def forgotten() -> str:
        return "everybody reads this"

    app.router.routes.extend(router.routes)
    with pytest.raises(AssertionError, match="GET /forgotten"):
        check_routes(app)


def test_nobody_gets_in(service: FleetService) -> None:
    with service.client() as client:
        for method, route in routes(service):
            if (method, route.path) in OPEN:
                continue
            status = ask(client, method, route)
            assert status == (401 if route.path.startswith(("/api", "/metrics")) else 303), (method, route.path, status)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_reaches_what_it_covers_and_nothing_else(service: FleetService, role: Role) -> None:
    with service.logged_in(role.value) as client:
        for method, route in routes(service):
            allowed = declared_role(route)
            assert allowed is not None
            if allowed.role is None or route.path == "/logout":
                continue
            status = ask(client, method, route)
            if role.covers(allowed.role):
                assert (status not in (401, 403, 405) and status < 500) or route.path in STREAMS, (
                    method,
                    route.path,
                    status,
                )
            else:
                assert status == 403, (method, route.path, status)


def test_a_forged_request_changes_nothing(service: FleetService) -> None:
    with service.logged_in("admin") as client:
        right = client.headers.pop("x-csrf-token")
        for method, route in routes(service):
            if method in ("GET", "HEAD") or (method, route.path) in OPEN:
                continue
            for headers in ({}, {"x-csrf-token": "0" * 64}, {"x-csrf-token": right, "origin": "http://elsewhere.example"},
                            {"x-csrf-token": right, "sec-fetch-site": "cross-site"}):  # fmt: skip
                assert ask(client, method, route, headers=headers) == 403, (method, route.path, headers)
        assert client.get("/account").status_code == 200


def test_another_sessions_token_is_worth_nothing(service: FleetService) -> None:
    with service.logged_in("admin") as one, service.logged_in("operator") as other:
        other.headers["x-csrf-token"] = one.headers["x-csrf-token"]
        assert other.patch("/api/v1/devices/local.cam-0000", json={"title": "forged"}).status_code == 403
