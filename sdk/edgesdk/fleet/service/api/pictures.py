"""Snapshots and clips: lists, and the files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse

from edgesdk.fleet.service.api.asked import Cursor, Limit, RowId, Short, Since, Until, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.store import picture_list
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.media import MediaFolder, find_clips, find_snapshots
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1", tags=["pictures"])
# A device says what its file is; a browser is told only what cannot be a page or a script.
_SHOWN_AS = {"image/jpeg": "image/jpeg", "image/png": "image/png", "video/mp4": "video/mp4",
             "video/mp2t": "video/mp2t"}  # fmt: skip


@router.get("/snapshots")
def snapshots(
    request: Request, _who: Viewer, node: Short = "", site: Short = "", camera: Short = "", since_ms: Since = None,
    until_ms: Until = None, limit: Limit = 24, cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return snapshots, the newest first."""
    with reading(parts_of(request).engine) as connection:
        wanted = Wanted(node, site, camera, since_ms, until_ms)
        page = find_snapshots(connection, wanted, cursor=cursor, limit=limit)
    return {"snapshots": [picture_list.as_told(row) for row in page.items], "next": page.next}


@router.get("/clips")
def clips(
    request: Request, _who: Viewer, node: Short = "", site: Short = "", camera: Short = "", since_ms: Since = None,
    until_ms: Until = None, limit: Limit = 24, cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return clips, the newest first: those that are here, and those that devices keep."""
    with reading(parts_of(request).engine) as connection:
        page = find_clips(connection, Wanted(node, site, camera, since_ms, until_ms), cursor=cursor, limit=limit)
    return {"clips": [picture_list.as_told(row) for row in page.items], "next": page.next}


@router.get("/snapshots/{row}/file", response_class=FileResponse)
def snapshot_file(request: Request, _who: Viewer, row: RowId) -> FileResponse:
    """Return a snapshot's picture."""
    with reading(parts_of(request).engine) as connection:
        return _file(parts_of(request).media, picture_list.snapshot_file(connection, row))


@router.get("/clips/{row}/file", response_class=FileResponse)
def clip_file(request: Request, _who: Viewer, row: RowId) -> FileResponse:
    """Return a clip's video."""
    with reading(parts_of(request).engine) as connection:
        return _file(parts_of(request).media, picture_list.clip_file(connection, row))


def _file(media: Path, row: Any) -> FileResponse:
    if row is None or not row["path"]:
        raise NotFound("There is no such picture.")
    # The store's rows are written by our collector; even so, no row leads out of the folder, nor through a link.
    try:
        place = MediaFolder(media).place_of(row["path"])
    except InputError as error:
        raise NotFound("There is no such picture.") from error
    if not place.resolve().is_relative_to(media.resolve()) or not place.is_file():
        raise NotFound("This picture is not kept any more.")
    shown = _SHOWN_AS.get(row["content_type"], "application/octet-stream")
    return FileResponse(place, media_type=shown, headers={"cache-control": "private, max-age=86400"})
