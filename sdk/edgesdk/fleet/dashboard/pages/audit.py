"""The audit log, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Admin, Short
from edgesdk.fleet.service.parts import parts_of

router = APIRouter()


@router.get("/audit")
def audit_page(
    request: Request, who: Admin, before: Annotated[int | None, Query(ge=1, le=1 << 53)] = None, actor: Short = "",
    action: Short = "",
) -> Response:  # fmt: skip
    """Show who did what."""
    log = parts_of(request).audit
    entries, following = log.page(before=before, actor=actor, action=action)
    return render(
        request, "audit.html", who, entries=entries, next=following, actor=actor, action=action, actions=log.actions(),
        before=before,
    )  # fmt: skip
