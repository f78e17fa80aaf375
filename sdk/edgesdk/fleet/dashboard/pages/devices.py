"""The list of devices: filters, little lines, pages by key, a command for all that are meant."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Cursor, Selected, Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.store.devices import choices, find
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.fleet_overview import count
from edgesdk.fleet.store.rollups import HOUR_MS
from edgesdk.fleet.store.selection import STATES, Selection
from edgesdk.fleet.store.series import sparklines

router = APIRouter()
_A_PAGE = 50
_SPARK_POINTS = 60
# What people sort by, and how it is called.
_SORTS = {
    "name": "name", "site": "site", "-fps": "most fps", "fps": "least fps", "-age_p95_ms": "oldest results",
    "-temperature_c": "warmest", "-queued": "most waiting", "-heard_ms": "heard last", "heard_ms": "silent longest",
}  # fmt: skip


@router.get("/devices")
def devices_page(
    request: Request, who: Viewer, chosen: Selected, sort: Annotated[str, Query(max_length=20)] = "name",
    cursor: Cursor = "",
) -> Response:  # fmt: skip
    """Show a page of devices; htmx asks for the table alone."""
    at_ms = now_ms()
    sort = sort if sort in _SORTS else "name"
    with reading(parts_of(request).engine) as connection:
        page = find(connection, chosen, at_ms, sort=sort, limit=_A_PAGE, cursor=cursor)
        ids = [device["id"] for device in page.items]
        lines = sparklines(connection, ids, "fps", at_ms - HOUR_MS, at_ms, points=_SPARK_POINTS)
        there = choices(connection)
        meant = count(connection, chosen, at_ms)
    part = request.headers.get("hx-target") in ("device-table", "device-rows")
    template = "parts/device_table.html" if part else "devices.html"
    return render(
        request, template, who, page=page, sparks=lines, choices=there, chosen=chosen, sort=sort, cursor=cursor,
        states=STATES, sorts=_SORTS, meant=meant, query=_query(chosen, sort),
        filters=(
            ("site", "sites", chosen.site), ("target", "targets", chosen.target),
            ("tag", "tags", chosen.tags[0] if chosen.tags else ""), ("bundle", "bundles", chosen.bundle),
        ),
    )  # fmt: skip


def _query(chosen: Selection, sort: str) -> str:
    fields: list[tuple[str, str]] = []
    for name, value in chosen.to_json().items():
        fields += [(name[:-1], one) for one in value] if name == "tags" else [(name, value)]
    # Several states stand apart in an address, as the filter's fields do.
    fields = [pair for pair in fields if pair[0] != "state"] + [
        ("state", one) for one in chosen.state.split(",") if one
    ]
    return urlencode([*fields, ("sort", sort)] if sort != "name" else fields)
