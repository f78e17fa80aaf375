"""The tus protocol 1.0 (core and creation), as agents speak it: what was cut off goes on where we say it was.

POST /api/v1/uploads        Upload-Length, Upload-Metadata        → 201, Location
HEAD /api/v1/uploads/ID                                           → 200, Upload-Offset
PATCH /api/v1/uploads/ID    Upload-Offset, the rest of the file   → 204, Upload-Offset

Nobody is logged in here: a device shows its own token (`edgesdk fleet clip-token`), and reaches its own uploads alone.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import ExitStack

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.principal import peer
from edgesdk.fleet.service.security.refusals import BadRequest, LoginNeeded, Refused, Unavailable
from edgesdk.fleet.service.uploads.device_token import holder_of
from edgesdk.fleet.service.uploads.incoming import Incoming, Upload
from edgesdk.fleet.store.clip_files import content_type_of, keep_file
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.media import MediaFolder

PATH = "/api/v1/uploads"
_VERSION = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}
_PIECE_BYTES = 1 << 20
_MAX_METADATA = 4096
_DIGITS = 18


class NotKept(Refused):
    """A kind of file that is not kept here."""

    status, code = 415, "not_kept"


def upload_router(incoming: Incoming) -> APIRouter:
    """Return the routes; `incoming` holds what is on its way."""
    router = APIRouter(tags=["uploads"])

    @router.post(PATH, status_code=201)
    async def create(request: Request) -> Response:
        """Begin an upload."""
        _, node = await _device(request)
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        if not content_type_of(metadata.get("filename", "")):
            raise NotKept("Clips (.ts, .mp4) and pictures (.jpg) are kept here.")
        number = await run_in_threadpool(incoming.begin, node, _number(request, "upload-length"), metadata)
        return Response(status_code=201, headers={**_VERSION, "Location": f"{PATH}/{number}"})

    @router.head(PATH + "/{number}")
    async def offset(request: Request, number: str) -> Response:
        """Say how much is here."""
        _, node = await _device(request)
        upload = await run_in_threadpool(incoming.find, node, number)
        head = {**_VERSION, "Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length)}
        return Response(status_code=200, headers=head)

    @router.patch(PATH + "/{number}", status_code=204)
    async def append(request: Request, number: str) -> Response:
        """Take the rest of a file; when all of it is here, it is stored."""
        device = await _device(request)
        if request.headers.get("content-type", "") != "application/offset+octet-stream":
            raise BadRequest("Send application/offset+octet-stream.")
        upload = await run_in_threadpool(incoming.find, device[1], number)
        try:
            await _append(request, incoming, upload, _number(request, "upload-offset"))
        except ClientDisconnect:
            # The line was cut, as lines are: what came is kept, and nobody hears this answer.
            return Response(status_code=204, headers=_VERSION)
        except OSError as error:
            raise _unwritable(error) from error
        try:
            upload = await run_in_threadpool(incoming.find, device[1], number)
            if upload.offset == upload.length and not upload.whole:
                await run_in_threadpool(_store, request, incoming, upload, device)
        except OSError as error:
            raise _unwritable(error) from error
        return Response(status_code=204, headers={**_VERSION, "Upload-Offset": str(upload.offset)})

    return router


async def _append(request: Request, incoming: Incoming, upload: Upload, offset: int) -> None:
    waiting = bytearray()
    with ExitStack() as stack:
        handle = await run_in_threadpool(stack.enter_context, incoming.appending(upload, offset))

        async def write() -> None:
            piece = bytes(waiting)
            waiting.clear()
            await run_in_threadpool(incoming.append, handle, upload, piece)

        try:
            async for piece in request.stream():
                waiting += piece
                if len(waiting) >= _PIECE_BYTES:
                    await write()
        finally:
            # What came before a cut is kept: the device goes on from there.
            if waiting:
                await write()


def _store(request: Request, incoming: Incoming, upload: Upload, device: tuple[int, str]) -> None:
    parts = parts_of(request)
    with writing(parts.engine) as connection:
        keep_file(connection, MediaFolder(parts.media), device, incoming.part(upload), upload.metadata, now_ms())
    incoming.finish(upload)


async def _device(request: Request) -> tuple[int, str]:
    """Return row and name of the device whose token was shown.

    Raises:
        LoginNeeded: it is nobody's.
        TooManyRequests: there were too many from this network.
    """
    parts = parts_of(request)
    parts.access.limits.ask(f"uploads {network_of(peer(request))}")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")

    def find() -> tuple[int, str] | None:
        with reading(parts.engine) as connection:
            return holder_of(connection, token)

    found = await run_in_threadpool(find) if scheme.lower() == "bearer" else None
    if found is None:
        raise LoginNeeded("This is no device's token.", hint="edgesdk fleet clip-token TENANT.DEVICE")
    return found


def _unwritable(error: OSError) -> Unavailable:
    return Unavailable(f"It cannot be written: {error.strerror}.", hint="Tried again later.")


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise BadRequest(f"{name} is no number.")
    return int(text)


def _metadata(said: str) -> dict[str, str]:
    """Read `name base64,name base64`. Raises BadRequest."""
    if len(said) > _MAX_METADATA:
        raise BadRequest("Upload-Metadata is too long.")
    found = {}
    for pair in filter(None, said.split(",")):
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise BadRequest("Upload-Metadata cannot be read.") from error
    return found
