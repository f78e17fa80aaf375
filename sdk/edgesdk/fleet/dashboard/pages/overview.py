"""The first page: counts, figures, the heat map, what happened last."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.store.alert_pages import list_alerts
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted, find
from edgesdk.fleet.store.fleet_overview import overview as look
from edgesdk.fleet.store.fleet_overview import squares

router = APIRouter()
# What is shown as the warmest and the slowest; beyond, it is only more of the same.
_HEAT = {"temperature": (45, 60, 70, 80), "age": (50, 150, 400, 1000)}
_LATE_MS = 60_000


@router.get("/")
def overview_page(request: Request, who: Viewer, by: str = "state") -> Response:
    """Show the fleet; htmx asks for the live part alone."""
    at_ms = now_ms()
    by = by if by in ("state", *_HEAT) else "state"
    with reading(parts_of(request).engine) as connection:
        found = look(connection, at_ms)
        sites = [
            (site, [{"device": one, "heat": _heat(one, by)} for one in devices])
            for site, devices in groupby(squares(connection, at_ms), key=lambda one: one.site)
        ]
        firing = list_alerts(connection, state="firing", limit=5).items
        events = find(connection, Wanted(), limit=8).items
    template = "parts/overview_live.html" if request.headers.get("hx-request") else "overview.html"
    stale = found["heard_ms"] is not None and at_ms - found["heard_ms"] > _LATE_MS
    return render(
        request, template, who, fleet=found, sites=sites, firing=firing, events=events, by=by, heats=tuple(_HEAT),
        stale=stale,
    )  # fmt: skip


def _heat(one: Any, by: str) -> str:
    """Return a square's class: its state, or how warm or slow it is in five steps."""
    if by == "state" or one.state in ("offline", "never_seen", "revoked"):
        return f"s-{one.state}"
    value = one.temperature_c if by == "temperature" else one.age_p95_ms
    return "h-none" if value is None else f"h-{sum(value >= step for step in _HEAT[by])}"
