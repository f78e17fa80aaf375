"""Search in what models answered."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from edgesdk.fleet.service.api.asked import Cursor, Limit, Short, Since, Until, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.results import find

router = APIRouter(prefix="/api/v1/results", tags=["results"])


@router.get("")
def results(
    request: Request, _who: Viewer, node: Short = "", site: Short = "", camera: Short = "", label: Short = "",
    since_ms: Since = None, until_ms: Until = None, limit: Limit = 50, cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return results, the newest first: of a device, site or camera, or those that hold a label."""
    wanted = Wanted(node, site, camera, since_ms, until_ms, label=label)
    with reading(parts_of(request).engine) as connection:
        page = find(connection, wanted, cursor=cursor, limit=limit)
    return {"results": page.items, "next": page.next}
