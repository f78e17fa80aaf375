"""Alerts: what is wrong now, and what was."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.alerts import acknowledge
from edgesdk.fleet.service.api.asked import Cursor, Operator, RowId, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.store.alert_pages import STATES, list_alerts
from edgesdk.fleet.store.engine import reading

router = APIRouter()


@router.get("/alerts")
def alerts_page(request: Request, who: Viewer, state: str = "", cursor: Cursor = "") -> Response:
    """Show alerts; htmx asks for the list alone."""
    state = state if state in STATES else ""
    with reading(parts_of(request).engine) as connection:
        page = list_alerts(connection, state=state, cursor=cursor, limit=50)
    template = "parts/alert_list.html" if request.headers.get("hx-target") == "alert-list" else "alerts.html"
    return render(request, template, who, page=page, state=state, states=STATES, cursor=cursor)


@router.post("/alerts/{row}/acknowledge")
def acknowledge_alert(request: Request, who: Operator, row: RowId) -> Response:
    """Say that somebody has seen it."""
    acknowledge(request, who, row)
    return RedirectResponse("/alerts?state=firing", 303)
