"""The HTTPS endpoints by which a device joins the fleet, as a FastAPI router that the service includes.

Nobody is logged in here: who asks shows a token, or proves that he holds a device's key. Answers are never cached, and
bodies are read up to a limit before anything looks at them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.enrol.certificate import BadRequest
from edgesdk.fleet.enrol.claims import EnrolmentDesk, Refused
from edgesdk.fleet.enrol.install_script import script_text
from edgesdk.fleet.enrol.joining_limits import JoiningLimits
from edgesdk.fleet.enrol.proof import NoProof, check_proof
from edgesdk.fleet.enrol.wheelhouses import Wheelhouses
from edgesdk.fleet.service.security.refusals import TooManyRequests
from edgesdk_targets.enrolment import (
    AUTHORITY_PATH,
    BUNDLES_PATH,
    CERTIFICATE_HEADER,
    CLAIM_PATH,
    MAX_CLAIM_BYTES,
    PROOF_HEADER,
    RENEW_PATH,
    Claim,
    Renewal,
)
from edgesdk_targets.errors import EdgeError

if TYPE_CHECKING:
    from pydantic import BaseModel

INSTALL_PATH = "/enrol/install.sh"
WHEELHOUSE_PATH = "/enrol/wheelhouse/"
_UNCACHED = {"Cache-Control": "no-store"}
# Told of each claim and renewal: action, device or token's beginning, outcome, address; for the audit log.
Note = Callable[[str, str, str, str], None]


_log = logging.getLogger("edgesdk.fleet.enrol")


class _TooLarge(Exception):
    """A body is longer than anything that is said here."""


def enrolment_router(
    desk: EnrolmentDesk,
    *,
    wheelhouses: Wheelhouses | None = None,
    note: Note | None = None,
    clock: Callable[[], float] = time.time,
    limits: JoiningLimits | None = None,
) -> APIRouter:
    """Return the routes below `/enrol/`.

    Args:
        desk: checks and signs.
        wheelhouses: installers that devices may fetch.
        note: is told what was asked and what became of it, on a thread of the pool: it may write to a disk.
    """
    router = APIRouter(tags=["enrolment"])
    limits = limits or JoiningLimits()
    _identity_routes(router, desk, note or _nobody, clock, limits)
    _bundle_route(router, desk, clock, limits)
    _download_routes(router, desk, wheelhouses or Wheelhouses(None))
    return router


def _identity_routes(
    router: APIRouter, desk: EnrolmentDesk, note: Note, clock: Callable[[], float], limits: JoiningLimits
) -> None:
    @router.post(CLAIM_PATH, openapi_extra=_body_of(Claim))
    async def claim(request: Request) -> Response:
        """Take a token and a certificate request, and give the device its identity."""

        def work(body: bytes) -> tuple[str, BaseModel]:
            given = desk.claim(Claim.model_validate_json(body))
            return given.node, given

        return await _answered(request, "enrol.claim", work, note, limits)

    @router.post(RENEW_PATH, openapi_extra=_body_of(Renewal))
    async def renew(request: Request) -> Response:
        """Give a device another certificate before the present one runs out."""

        def work(body: bytes) -> tuple[str, BaseModel]:
            given = desk.renew(Renewal.model_validate_json(body), _proven(request, body, clock()))
            return given.node, given

        return await _answered(request, "enrol.renew", work, note, limits)


def _bundle_route(router: APIRouter, desk: EnrolmentDesk, clock: Callable[[], float], limits: JoiningLimits) -> None:
    @router.get(BUNDLES_PATH + "{sha256}", response_class=FileResponse)
    async def bundle(request: Request, sha256: str) -> Response:
        """Give an enrolled device the bundle that it is to run."""

        def find() -> Path | None:
            desk.holder_of(_proven(request, b"", clock()))
            return desk.bundle_file(sha256)

        address = _peer(request)
        try:
            limits.ask(address)
            path = await run_in_threadpool(find)
        except TooManyRequests as error:
            return _too_many(error)
        except (Refused, NoProof):
            limits.was_refused(address)
            return _problem(403, "refused", "The fleet refuses this.")
        except SQLAlchemyError as error:
            return _away(error)
        if path is None:
            return _problem(404, "not_found", "There is no such bundle.")
        return FileResponse(path, media_type="application/octet-stream", headers=_UNCACHED)


def _download_routes(router: APIRouter, desk: EnrolmentDesk, wheelhouses: Wheelhouses) -> None:
    @router.get(AUTHORITY_PATH, response_class=PlainTextResponse)
    async def authority() -> Response:
        """Return the authority's certificate; who asks compares it with what the install line pins."""
        return PlainTextResponse(desk.authority.certificate_pem, media_type="application/x-pem-file")

    @router.get(INSTALL_PATH, response_class=PlainTextResponse)
    async def install() -> Response:
        """Return the script that an install line runs."""
        return PlainTextResponse(script_text(), media_type="text/x-shellscript", headers=_UNCACHED)

    @router.get(WHEELHOUSE_PATH + "{name}.tar", response_class=StreamingResponse)
    async def wheelhouse(name: str) -> Response:
        """Return the installer for a kind of device, as a tar archive of what `scripts/wheelhouse` wrote."""
        folder = await run_in_threadpool(wheelhouses.find, name)
        if folder is None:
            return _problem(404, "not_found", "There is no such installer.", "fleet serve --wheelhouse DIR")
        return StreamingResponse(wheelhouses.archive(folder), media_type="application/x-tar")


async def _answered(
    request: Request, action: str, work: Callable[[bytes], tuple[str, BaseModel]], note: Note, limits: JoiningLimits
) -> Response:
    """Do what was asked on a thread, and turn what it says, or why not, into an answer."""
    address = _peer(request)
    try:
        limits.ask(address)
        body = await _body(request)
        subject, said = await run_in_threadpool(work, body)
    except TooManyRequests as error:
        # Not a line of the audit log each: a flood must not fill it.
        return _too_many(error)
    except _TooLarge:
        return _problem(413, "too_large", f"At most {MAX_CLAIM_BYTES} bytes.")
    except SQLAlchemyError as error:
        return _away(error)
    except (Refused, NoProof) as error:
        limits.was_refused(address)
        await run_in_threadpool(note, action, "", "refused", address)
        hint = error.hint if isinstance(error, Refused) else ""
        return _problem(403, "refused", "The fleet refuses this.", hint)
    except BadRequest as error:
        await run_in_threadpool(note, action, "", "refused", address)
        return _problem(422, "bad_request", error.message, error.hint)
    except ValidationError:
        return _problem(422, "invalid", "This is not what the fleet expects.", "Update edgesdk on the device.")
    except EdgeError as error:
        # A template that is gone, a bundle that is not on the shelf: the operator's to mend, the token stays good.
        await run_in_threadpool(note, action, "", "failed", address)
        return _problem(409, error.code, error.message, error.hint)
    await run_in_threadpool(note, action, subject, "ok", address)
    return Response(said.model_dump_json(), media_type="application/json", headers=_UNCACHED)


def _nobody(*_: str) -> None:
    pass


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_many(error: TooManyRequests) -> Response:
    answer = _problem(429, error.code, error.message, "The same line is still good then.")
    answer.headers["retry-after"] = str(error.retry_after_s)
    return answer


def _away(error: SQLAlchemyError) -> Response:
    """Say that the store is locked, full or away; the token stays good."""
    _log.error("the store: %s", error.orig if isinstance(error, DBAPIError) else type(error).__name__)
    return _problem(503, "unavailable", "The fleet cannot answer at present.", "Run the same line again in a moment.")


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MAX_CLAIM_BYTES:
            raise _TooLarge
    return bytes(found)


def _proven(request: Request, body: bytes, now: float) -> x509.Certificate:
    return check_proof(
        request.method,
        request.url.path,
        body,
        certificate=request.headers.get(CERTIFICATE_HEADER, ""),
        proof=request.headers.get(PROOF_HEADER, ""),
        now=now,
    )


def _problem(status: int, code: str, message: str, hint: str = "") -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status, headers=_UNCACHED)


def _body_of(model: type[BaseModel]) -> dict[str, object]:
    """Describe a body for OpenAPI; it is read by us, up to its limit, and not by FastAPI."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
