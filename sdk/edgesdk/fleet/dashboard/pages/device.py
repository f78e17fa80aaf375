"""One device: how it is, live results, charts, events, commands."""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Admin, NodePath, Operator, Viewer
from edgesdk.fleet.service.api.devices import Description, change
from edgesdk.fleet.service.api.identity import revoke_device
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.refusals import BadRequest, NotFound, Unavailable
from edgesdk.fleet.store.alert_pages import list_alerts
from edgesdk.fleet.store.command_log import list_commands
from edgesdk.fleet.store.devices import get
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted, find
from edgesdk.fleet.store.media import find_clips, find_snapshots
from edgesdk.fleet.store.wanted import wanted_of

router = APIRouter()
# Agents report every ten seconds unless told otherwise.
_LATE_MS = 30_000
_SIZE = re.compile(r"\b([1-9][0-9]{1,4})x([1-9][0-9]{1,4})\b")
_PARTS = {"head": "parts/device_head.html", "events": "parts/events.html", "commands": "parts/commands.html",
          "pictures": "parts/pictures.html"}  # fmt: skip


@router.get("/devices/{node}")
def device_page(
    request: Request, who: Viewer, node: NodePath, part: Literal["", "head", "events", "commands", "pictures"] = ""
) -> Response:
    """Show a device, or one part of its page."""
    at_ms = now_ms()
    parts = parts_of(request)
    shown: dict[str, Any] = {}
    with reading(parts.engine) as connection:
        device = get(connection, node, at_ms)
        if device is None:
            raise NotFound(f"There is no device {node}.", hint="It appears here when it is enrolled or first speaks.")
        # A part is asked for again and again while a page is open: only what it shows is looked for.
        if part in ("", "head"):
            shown["firing"] = list_alerts(connection, node=node, state="firing", limit=5).items
        if part in ("", "events"):
            shown["events"] = find(connection, Wanted(node), limit=12).items
        if part in ("", "commands"):
            shown["commands"] = list_commands(connection, node=node, limit=10).items
        if part in ("", "pictures"):
            shown["pictures"] = find_snapshots(connection, Wanted(node), limit=8).items
            shown["clips"] = find_clips(connection, Wanted(node), limit=4).items
        if not part:
            shown["wanted"] = wanted_of(connection, device["id"])
    there = device["state"] in ("online", "degraded", "updating")
    return render(
        request, _PARTS.get(part, "device.html"), who, device=device, **shown, sizes=_sizes(device["cameras"]),
        live=parts.node_feeds is not None, authority=parts.taking_back is not None,
        stale=there and (device["heard_ms"] is None or at_ms - device["heard_ms"] > _LATE_MS), one=True,
    )  # fmt: skip


@router.post("/devices/{node}/describe")
async def describe_device(request: Request, who: Operator, node: NodePath) -> Response:
    """Take what a person says of a device: title, site, tags, note."""
    form = await read_form(request)
    try:
        said = Description(
            title=form.get("title"), site=form.get("site"), note=form.get("note"),
            tags=form["tags"].split() if "tags" in form else None,
        )  # fmt: skip
    except ValidationError as error:
        raise BadRequest(
            "This cannot be kept of a device.",
            hint="Tags are letters, digits and . _ : = @ -, with blanks between them.",
        ) from error
    await run_in_threadpool(change, request, who, node, said)
    return RedirectResponse(f"/devices/{node}", 303)


@router.post("/devices/{node}/revoke")
async def revoke_page(request: Request, who: Admin, node: NodePath) -> Response:
    """Take a device's identity back."""
    form = await read_form(request)
    if "sure" not in form:
        raise BadRequest("Nothing was taken back.", hint="Tick that you mean it.")
    done = await run_in_threadpool(revoke_device, request, who, node, form.get("reason", "").strip())
    if done.problem is not None:
        raise Unavailable(done.problem.message, hint=done.problem.hint)
    return RedirectResponse(f"/devices/{node}", 303)


def _sizes(cameras: Any) -> dict[str, list[int]]:
    """Return each camera's width and height in pixels, as far as what it says of its source has them (`1280x720@30`)."""
    found = {}
    for camera in cameras if isinstance(cameras, list) else ():
        size = _SIZE.search(f"{camera.get('source', '')} {camera.get('mode', '')}")
        if size is not None:
            found[str(camera.get("name", ""))] = [int(size[1]), int(size[2])]
    return found
