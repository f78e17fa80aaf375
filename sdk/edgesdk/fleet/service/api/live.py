"""Live events over a connection that stays open: of the fleet, and of one device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from edgesdk.fleet.service.api.asked import NODE_NAME, NodePath, Viewer
from edgesdk.fleet.service.live.event_stream import event, merged
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import TooManyRequests, Unavailable
from edgesdk_targets.topics import Node

router = APIRouter(prefix="/api/v1", tags=["live"])


@router.get("/live", response_class=StreamingResponse)
async def fleet(
    request: Request, who: Viewer, node: Annotated[str, Query(pattern=f"^$|{NODE_NAME}", max_length=129)] = ""
) -> StreamingResponse:
    """Send `fleet` events: counts by state and the newest event's and alert's numbers, whenever they change.

    With `node`, also this device's `said` events: over one connection, as a browser has few.
    """
    feed = parts_of(request).fleet_feed
    if feed.full:
        raise TooManyRequests("Too many look at once.", retry_after_s=30)

    async def lines() -> AsyncIterator[str]:
        async for number, data in feed.watch():
            yield event("fleet", data, event_id=number)

    return _streamed(request, who, merged(lines(), _said(request, node)) if node else lines())


@router.get("/devices/{node}/live", response_class=StreamingResponse)
async def device(request: Request, who: Viewer, node: NodePath) -> StreamingResponse:
    """Send `said` events: each result, telemetry, state and event of a device, as it comes from the broker."""
    return _streamed(request, who, _said(request, node))


def _said(request: Request, node: str) -> AsyncIterator[str]:
    feeds = parts_of(request).node_feeds
    if feeds is None:
        raise Unavailable("This service was started without a broker.", hint="edgesdk fleet serve --broker …")
    if feeds.full:
        raise TooManyRequests("Too many devices are looked at at once.", retry_after_s=30)

    async def lines() -> AsyncIterator[str]:
        async for data in feeds.watch(Node.parse(node)):
            yield event("said", data)

    return lines()


def _streamed(request: Request, who: Principal, lines: AsyncIterator[str]) -> StreamingResponse:
    parts = parts_of(request)
    return parts.listeners.stream(who.asker, lambda: parts.access.still(who), lines)
