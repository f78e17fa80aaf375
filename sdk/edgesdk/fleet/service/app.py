"""Makes the application: every route with its role, every error in one form, every answer with its headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from edgesdk.fleet.dashboard import pages
from edgesdk.fleet.dashboard.static_files import router as static_router
from edgesdk.fleet.service import api
from edgesdk.fleet.service.errors import add_handlers
from edgesdk.fleet.service.parts import Parts
from edgesdk.fleet.service.security.body_limit import BodyLimit
from edgesdk.fleet.service.security.headers import SecurityHeaders
from edgesdk.fleet.service.security.plain_text import PlainText
from edgesdk.fleet.service.security.roles import check_routes
from edgesdk.fleet.service.uploads.tus import PATH as UPLOADS_PATH


class _FleetApp(FastAPI):
    """FastAPI answers a failed request outside of all middleware: what every answer needs is put around the whole."""

    https = False

    def build_middleware_stack(self) -> ASGIApp:
        return SecurityHeaders(super().build_middleware_stack(), https=self.https)


def make_app(
    parts: Parts, *, https: bool = False, open_routers: Sequence[APIRouter] = (), version: str = ""
) -> FastAPI:
    """Return the application of a service.

    Args:
        parts: what its routes share.
        https: it is reached by HTTPS only: cookies and headers say so.
        open_routers: routes that need nobody logged in, since they ask for a proof of their own (a device's enrolment).
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        from edgesdk.fleet.service.lifespan import running

        async with running(parts):
            yield

    # Its own documentation pages load scripts from elsewhere; the description itself is at /api/openapi.json.
    app = _FleetApp(
        title="edgesdk fleet",
        version=version or "0",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.https = https
    app.state.parts = parts
    app.state.access = parts.access
    app.state.https = https
    add_handlers(app)
    for router in (*api.routers(), *pages.routers(), static_router):
        # The routes themselves, not FastAPI's lazy view of them: what is checked is what is served.
        app.router.routes.extend(router.routes)
    own = {id(route) for router in open_routers for route in router.routes}
    for router in open_routers:
        app.router.routes.extend(router.routes)
    check_routes(app, own)
    app.add_middleware(BodyLimit, streamed=f"{UPLOADS_PATH}/")
    app.add_middleware(PlainText)
    return app
