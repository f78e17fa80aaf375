"""A device's identity, taken back: its certificates and tokens, and what it says from then on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from edgesdk.fleet.enrol.taking_back import TakenBack
from edgesdk.fleet.service.api.asked import Admin, NodePath
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import NotFound, Unavailable
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.followers import standing
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1/devices", tags=["devices"])
LONGEST_REASON = 1000


class Revocation(BaseModel):
    """Why an identity is taken back; kept with the certificate and in the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""


@router.post("/{node}/revoke")
def revoke(request: Request, who: Admin, node: NodePath, asked: Revocation) -> dict[str, Any]:
    """Take a device's certificates and tokens back; `problem` says why the broker may still let it in."""
    done = revoke_device(request, who, node, asked.reason)
    problem = "" if done.problem is None else f"{done.problem.message} {done.problem.hint}".strip()
    return {"node": node, "revoked": list(done.serials), "disconnected": done.disconnected, "problem": problem}


def revoke_device(request: Request, who: Principal, node: str, reason: str) -> TakenBack:
    """Take a device's identity back for whoever asks, and note it.

    Raises:
        NotFound: there is no such device.
        Unavailable: this service has no authority.
    """
    parts = parts_of(request)
    if parts.taking_back is None:
        raise Unavailable(
            "This service was started without an authority.", hint=f"edgesdk fleet revoke {node} --authority DIR"
        )
    with reading(parts.engine) as connection:
        try:
            standing(connection, node)
        except InputError as error:
            raise NotFound(f"There is no device {node}.") from error
    reason = plain_text(reason, LONGEST_REASON)
    done = parts.taking_back.take_back(parts.engine, node, reason)
    problem = "" if done.problem is None else done.problem.message
    note(
        request, who, "device.revoke", node, outcome="failed" if problem else "ok", reason=reason,
        certificates=len(done.serials), disconnected=done.disconnected, problem=problem,
    )  # fmt: skip
    return done
