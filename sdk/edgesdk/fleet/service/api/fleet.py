"""The fleet as a whole: counts and figures, over time, and what lists can be filtered by."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from edgesdk.fleet.service.api.asked import Since, Until, Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.roles import anyone
from edgesdk.fleet.store.devices import choices
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.fleet_overview import fleet_series, overview
from edgesdk.fleet.store.rollups import HOUR_MS
from edgesdk_targets.errors import InputError

router = APIRouter()
_LONGEST_MS = 400 * 24 * HOUR_MS


@router.get("/healthz", dependencies=[Depends(anyone)], tags=["service"])
def health(request: Request) -> dict[str, Any]:
    """Say that the service answers, and whether it reads its store. Tells nothing else: anyone may ask."""
    with reading(parts_of(request).engine) as connection:
        connection.exec_driver_sql("SELECT 1")
    return {"ok": True}


@router.get("/api/openapi.json", tags=["service"])
def description(request: Request, _who: Viewer) -> dict[str, Any]:
    """Describe this API."""
    return request.app.openapi()  # type: ignore[no-any-return]


@router.get("/api/v1/fleet", tags=["fleet"])
def fleet(request: Request, _who: Viewer) -> dict[str, Any]:
    """Return counts by state and the fleet's figures, as they are."""
    parts = parts_of(request)
    with reading(parts.engine) as connection:
        found = overview(connection, now_ms())
    return {**found, "collector": parts.collecting or None}


@router.get("/api/v1/fleet/series", tags=["fleet"])
def series(request: Request, _who: Viewer, since_ms: Since = None, until_ms: Until = None) -> dict[str, Any]:
    """Return frames a second, the worst age and the number of devices heard, by minute or by hour."""
    until = until_ms if until_ms is not None else now_ms()
    since = since_ms if since_ms is not None else until - 3 * HOUR_MS
    if not 0 < until - since <= _LONGEST_MS:
        raise InputError("The time does not run from `since_ms` to `until_ms`, or is longer than 400 days.")
    with reading(parts_of(request).engine) as connection:
        return fleet_series(connection, since, until)


@router.get("/api/v1/fleet/choices", tags=["fleet"])
def filters(request: Request, _who: Viewer) -> dict[str, list[str]]:
    """Return the sites, targets, tags and bundles that there are."""
    with reading(parts_of(request).engine) as connection:
        return choices(connection)
