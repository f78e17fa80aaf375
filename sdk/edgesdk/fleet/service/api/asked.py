"""What the resources' addresses share: names of devices, times, pages, and which devices are meant."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.service.security.roles import allow
from edgesdk.fleet.store.selection import Selection

_LATEST_MS = 1 << 52

Viewer = Annotated[Principal, Depends(allow(Role.VIEWER))]
Operator = Annotated[Principal, Depends(allow(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(allow(Role.ADMIN))]

NODE_NAME = r"^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$"
NodePath = Annotated[str, Path(pattern=NODE_NAME, description="tenant.device")]
# Of a rule, a channel, a template.
PLAIN_NAME = r"^[A-Za-z0-9_-]{1,64}$"
PlainName = Annotated[str, Path(pattern=PLAIN_NAME)]
RowId = Annotated[int, Path(ge=1, le=(1 << 53))]
Since = Annotated[int | None, Query(ge=0, le=_LATEST_MS, description="Milliseconds since 1970.")]
Until = Annotated[int | None, Query(ge=0, le=_LATEST_MS, description="Milliseconds since 1970, not included.")]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str, Query(max_length=2000, description="`next` of the page before.")]
Short = Annotated[str, Query(max_length=256)]


def selection(
    text: Short = "",
    state: Annotated[list[str] | None, Query(max_length=6, description="Any of these.")] = None,
    site: Short = "",
    target: Short = "",
    tag: Annotated[list[str] | None, Query(max_length=10, description="All of these.")] = None,
    bundle: Annotated[str, Query(max_length=512, description="name, or name@version")] = "",
    tenant: Short = "",
) -> Selection:
    """Return which devices are meant."""
    tags = tuple(one[:256] for one in tag or () if one)
    states = ",".join(one for one in state or () if one)
    return Selection(tags=tags, site=site, target=target, state=states, bundle=bundle, text=text, tenant=tenant)


Selected = Annotated[Selection, Depends(selection)]


def must(found: object, what: str) -> None:
    """Raise NotFound where there is nothing."""
    if found is None:
        raise NotFound(f"There is no {what}.")
