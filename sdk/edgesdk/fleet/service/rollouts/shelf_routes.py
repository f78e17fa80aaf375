"""Where devices fetch what is rolled out: HTTPS, in parts, each device by an address of its own.

The address holds a token that is good for one device and for fetching, so that who leaves the fleet fetches nothing more.
What comes is signed, and checked by the device, whoever brings it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.rollout.shelf import Shelf, Shelved
from edgesdk.fleet.service.uploads.device_token import holder_of, token_for
from edgesdk.fleet.store.engine import reading
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX

PATH = "/shelf"
_TOKEN = re.compile(re.escape(PATH) + "/[^/]+/")
_UNCACHED = {"Cache-Control": "no-store"}


def address_for(connection: Connection, server: str, node: str, bundle: Shelved) -> str:
    """Return where a device fetches a bundle, at a service that it reaches as `server`."""
    token = token_for(connection, node, "bundles")
    return (
        f"{server}{PATH}/{token}/{bundle.digest.removeprefix('sha256:')}/{bundle.name}-{bundle.version}{bundle.suffix}"
    )


def without_token(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what is wanted of a device, for people: with its address this device alone fetches."""
    if wanted is None:
        return None
    state = dict(wanted["state"] or {})
    update = state.get("update")
    if isinstance(update, dict) and isinstance(address := update.get("address"), str):
        state["update"] = {**update, "address": _TOKEN.sub(rf"{PATH}/…/", address)}
    return {**wanted, "state": state}


def shelf_router(engine: Engine, shelf: Shelf) -> APIRouter:
    """Return the routes; the token in the address says who asks."""
    router = APIRouter(tags=["shelf"])

    @router.get(PATH + "/{token}/{digest}/{name}", response_class=FileResponse)
    async def fetch(token: str, digest: str, name: str) -> Response:
        """Give a device a bundle, or some of it, or the list of its chunks."""

        def find() -> Shelved | None:
            with reading(engine) as connection:
                known = holder_of(connection, token, "bundles")
            return None if known is None else shelf.find(f"sha256:{digest}")

        found = await run_in_threadpool(find)
        if found is None:
            # Whether it is the token or the bundle, is not said.
            return Response(status_code=404, headers=_UNCACHED)
        if name.endswith(CHUNKS_SUFFIX):
            return Response(found.chunks, media_type="application/json", headers=_UNCACHED)
        # Knows `Range` and `If-Range`; its tag changes with the file.
        return FileResponse(found.path, media_type="application/octet-stream", headers=_UNCACHED)

    return router
