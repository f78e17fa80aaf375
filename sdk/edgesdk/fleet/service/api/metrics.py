"""The fleet for Prometheus, as text."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from edgesdk.fleet.service.api.asked import Viewer
from edgesdk.fleet.service.metrics import CONTENT_TYPE, exposition
from edgesdk.fleet.service.parts import parts_of

router = APIRouter(tags=["service"])


@router.get("/metrics", response_class=Response)
def metrics(request: Request, _who: Viewer, devices: bool = True) -> Response:
    """Return counts by state, and unless `devices` is false each device's figures. Prometheus logs in by an API token."""
    return Response(exposition(parts_of(request), devices=devices), media_type=CONTENT_TYPE)
