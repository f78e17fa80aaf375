"""What devices reported, and what could not be read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from edgesdk.fleet.service.api.asked import Cursor, Limit, Operator, Short, Since, Until, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted, find
from edgesdk.fleet.store.gap_list import unreadable

router = APIRouter(prefix="/api/v1", tags=["events"])


@router.get("/events")
def events(
    request: Request, _who: Viewer, node: Short = "", site: Short = "", camera: Short = "", severity: Short = "",
    name: Short = "", text: Short = "", since_ms: Since = None, until_ms: Until = None, limit: Limit = 50,
    cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return events, the newest first; several severities with commas."""
    wanted = Wanted(node, site, camera, since_ms, until_ms, name=name, severity=severity, text=text)
    with reading(parts_of(request).engine) as connection:
        page = find(connection, wanted, cursor=cursor, limit=limit)
    return {"events": page.items, "next": page.next}


@router.get("/quarantine")
def quarantine(request: Request, _who: Operator, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """Return the messages that could not be read, the newest first, without their content."""
    with reading(parts_of(request).engine) as connection:
        page = unreadable(connection, cursor=cursor, limit=limit)
    return {"messages": page.items, "next": page.next}
