"""Every error in one form: JSON for programs, a page for people, and never what went on inside."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from edgesdk.fleet.service.parts import note
from edgesdk.fleet.service.security.refusals import (
    BadRequest,
    Forbidden,
    LoginNeeded,
    NotFound,
    Refused,
    Unavailable,
)
from edgesdk_targets.errors import EdgeError, InputError

_log = logging.getLogger("edgesdk.fleet.service")


def add_handlers(app: FastAPI) -> None:
    """Give an application its error handlers."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(InputError, _input)
    app.add_exception_handler(EdgeError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SQLAlchemyError, _store)
    app.add_exception_handler(Exception, _unexpected)


def _answer(request: Request, refused: Refused, detail: Any = None) -> Response:
    headers = {"retry-after": str(refused.retry_after_s)} if refused.retry_after_s else {}
    if isinstance(refused, LoginNeeded) and wants_page(request) and not request.url.path.startswith("/login"):
        after = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        there = f"/login?next={quote(after, safe='')}" if request.method == "GET" else "/login"
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"hx-redirect": "/login"})
        return RedirectResponse(there, HTTPStatus.SEE_OTHER)
    if wants_page(request):
        from edgesdk.fleet.dashboard.render import render_error

        return render_error(request, refused, headers)
    error = {"code": refused.code, "message": refused.message}
    if refused.hint:
        error["hint"] = refused.hint
    if detail is not None:
        error["detail"] = detail
    return JSONResponse({"error": error}, refused.status, headers)


def wants_page(request: Request) -> bool:
    """Tell whether a person's browser asks, for something that is a page."""
    path = request.url.path
    return not path.startswith(("/api/", "/static/", "/metrics", "/healthz"))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  (registered for it)
    who = getattr(request.state, "principal", None)
    # Who tried what is not theirs to do is worth a line; who is not even known is the rate limits' business.
    if isinstance(error, Forbidden) and who is not None:
        what = f"{request.method} {request.url.path}"
        await run_in_threadpool(note, request, who, "refused", what, outcome="refused")
    return _answer(request, error)


async def _input(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)  # noqa: S101
    return _answer(request, BadRequest(error.message, hint=error.hint))


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, EdgeError)  # noqa: S101
    return _answer(request, Unavailable(error.message, hint=error.hint))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # What was sent is not repeated: it may be a password.
    found = [{"where": ".".join(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()[:20]]
    refused = BadRequest("A field of the request cannot be used.")
    refused.status, refused.code = 422, "invalid"
    return _answer(request, refused, found)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _answer(request, NotFound("There is nothing at this address."))
    refused = Refused(HTTPStatus(error.status_code).phrase + ".")
    refused.status, refused.code = error.status_code, HTTPStatus(error.status_code).name.lower()
    return _answer(request, refused)


async def _store(request: Request, error: Exception) -> Response:
    _log.error("the store: %s", type(error).__name__ if not isinstance(error, OperationalError) else error.orig)
    return _answer(request, Unavailable("The store cannot answer at present.", hint="Try again in a moment."))


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    refused = Refused("Something went wrong here. It is in the service's log.")
    refused.status, refused.code = 500, "internal"
    return _answer(request, refused)
