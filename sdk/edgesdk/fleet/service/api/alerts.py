"""Alerts: what is wrong now, what was, and that somebody has seen it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from edgesdk.fleet.service.api.asked import Cursor, Limit, Operator, RowId, Short, Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.store.alert_pages import alert_json, list_alerts, take_note
from edgesdk.fleet.store.engine import reading, writing

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])


@router.get("")
def alerts(
    request: Request, _who: Viewer, state: Short = "", node: Short = "", limit: Limit = 50, cursor: Cursor = ""
) -> dict[str, Any]:
    """Return alerts, the newest first; `state` is firing, pending or cleared."""
    with reading(parts_of(request).engine) as connection:
        page = list_alerts(connection, state=state, node=node, limit=limit, cursor=cursor)
    return {"alerts": [alert_json(row) for row in page.items], "next": page.next}


@router.post("/{row}/acknowledge")
def acknowledge(request: Request, who: Operator, row: RowId) -> dict[str, Any]:
    """Say that somebody has seen it; it goes on until it clears."""
    with writing(parts_of(request).engine) as connection:
        if not take_note(connection, row, actor=who.asker, at_ms=now_ms()):
            raise NotFound("There is no such alert.")
    note(request, who, "alert.acknowledge", str(row))
    return {"acknowledged": row}
