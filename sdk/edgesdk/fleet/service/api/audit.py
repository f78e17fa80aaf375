"""The audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from edgesdk.fleet.service.api.asked import Admin, Limit, Short
from edgesdk.fleet.service.parts import parts_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


@router.get("")
def audit(
    request: Request, _who: Admin, before: Annotated[int | None, Query(ge=1, le=1 << 53)] = None, actor: Short = "",
    action: Short = "", subject: Short = "", limit: Limit = 50,
) -> dict[str, Any]:  # fmt: skip
    """Return who did what, the newest first; `next` is the `before` of the next page."""
    entries, following = parts_of(request).audit.page(
        before=before, actor=actor, action=action, subject=subject, limit=limit
    )
    return {"entries": [asdict(entry) for entry in entries], "next": following}
