"""Devices: lists, one in detail, its figures over time, and what a person says of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from edgesdk.fleet.service.api.asked import Cursor, Limit, NodePath, Operator, Selected, Since, Until, Viewer, must
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.rollouts.shelf_routes import without_token
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.store import devices as store
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.gap_list import gaps_of
from edgesdk.fleet.store.rollups import HOUR_MS
from edgesdk.fleet.store.series import breakdown, of_device
from edgesdk.fleet.store.wanted import wanted_of

router = APIRouter(prefix="/api/v1/devices", tags=["devices"])

_Plain = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Description(BaseModel):
    """What a person says of a device; fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid")

    title: _Plain | None = None
    note: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None = None
    site: _Plain | None = None
    tags: Annotated[list[Annotated[str, Field(pattern=r"^[\w.:=@-]{1,64}$")]], Field(max_length=50)] | None = None


@router.get("")
def devices(
    request: Request, _who: Viewer, chosen: Selected, sort: Annotated[str, Query(max_length=40)] = "name",
    limit: Limit = 50, cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return a page of devices; `sort` is a name or figure, with a `-` before it downwards."""
    with reading(parts_of(request).engine) as connection:
        page = store.find(connection, chosen, now_ms(), sort=sort, cursor=cursor, limit=limit)
    return {"devices": [store.as_told(device) for device in page.items], "next": page.next}


@router.get("/{node}")
def device(request: Request, _who: Viewer, node: NodePath) -> dict[str, Any]:
    """Return everything that is known of one device now."""
    with reading(parts_of(request).engine) as connection:
        found = store.get(connection, node, now_ms())
        must(found, f"device {node}")
        assert found is not None  # noqa: S101  (for the type)
        return {**store.as_told(found), "desired": without_token(wanted_of(connection, found["id"]))}


@router.get("/{node}/series")
def series(
    request: Request, _who: Viewer, node: NodePath, names: Annotated[str, Query(max_length=300)] = "fps,age_p95_ms",
    since_ms: Since = None, until_ms: Until = None, points: Annotated[int, Query(ge=2, le=2000)] = 500,
) -> dict[str, Any]:  # fmt: skip
    """Return figures over time, with what is missing for good; `names` has commas between them.

    A name is a figure, or `latency_ms` (p95 by stage) or `dropped_by_cause` (frames a second by cause).
    """
    until = until_ms if until_ms is not None else now_ms()
    since = since_ms if since_ms is not None else until - HOUR_MS
    asked = [name.strip() for name in names.split(",")]
    with reading(parts_of(request).engine) as connection:
        found = store.get(connection, node, now_ms())
        must(found, f"device {node}")
        assert found is not None  # noqa: S101
        missing = gaps_of(connection, found["id"], since, until)
        if asked[0] in ("latency_ms", "dropped_by_cause") and until > since:
            parts = breakdown(connection, found["id"], asked[0], since, until, points=points)
            return {"at_ms": parts["at_ms"], "values": parts["lines"], "gaps": missing}
        made = of_device(connection, found["id"], asked, since, until, points=points)
    return {
        "at_ms": made.at_ms, "step_ms": made.step_ms, "source": made.source,
        "values": {line.figure: line.mean for line in made.lines},
        "low": {line.figure: line.low for line in made.lines}, "high": {line.figure: line.high for line in made.lines},
        "units": {line.figure: line.unit for line in made.lines}, "gaps": missing,
    }  # fmt: skip


@router.patch("/{node}")
def change(request: Request, who: Operator, node: NodePath, said: Description) -> dict[str, Any]:
    """Say what a device is called, where it stands, and which tags it has."""
    fields = said.model_dump(exclude_none=True)
    words = {name: value for name, value in fields.items() if name != "tags"}
    with writing(parts_of(request).engine) as connection:
        if not store.describe(connection, node, words):
            raise NotFound(f"There is no device {node}.")
        if said.tags is not None:
            store.set_tags(connection, node, said.tags)
    note(request, who, "device.describe", node, **fields)
    with reading(parts_of(request).engine) as connection:
        changed = store.get(connection, node, now_ms())
    assert changed is not None  # noqa: S101
    return store.as_told(changed)
