"""API tokens of the person who asks: made, listed, withdrawn. The token itself is said once."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from edgesdk.fleet.service.api.asked import RowId, Viewer
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.refusals import BadRequest, Forbidden, NotFound
from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.service.security.secrets_of_requests import new_api_token, stored_form

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"])
MAX_TOKENS = 50
_DAY_S = 86400
_KNOWN_BY = 14


class NewToken(BaseModel):
    """A token to make; `days` None means without end."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
    role: Role = Role.VIEWER
    days: Annotated[int, Field(ge=1, le=3650)] | None = 90


@router.get("")
def tokens(request: Request, who: Viewer) -> dict[str, Any]:
    """Return your tokens, without the secret."""
    found = parts_of(request).access.people.tokens(who.user_id)
    return {
        "tokens": [
            {
                "id": token.id, "name": token.name, "role": token.role, "prefix": token.prefix,
                "created": token.created, "used": token.used, "expires": token.expires,
            }
            for token in found
        ]
    }  # fmt: skip


@router.post("", status_code=201)
def add(request: Request, who: Viewer, asked: NewToken) -> dict[str, Any]:
    """Make a token that may do what its role may, and never more than you."""
    people = parts_of(request).access.people
    if who.token:
        raise Forbidden("A token cannot make another.", hint="Log in.")
    if not Role(who.role).covers(asked.role):
        raise Forbidden(f"You are {who.role}; a token of yours cannot be {asked.role.value}.")
    if len(people.tokens(who.user_id)) >= MAX_TOKENS:
        raise BadRequest(f"You have {MAX_TOKENS} tokens.", hint="Withdraw one first.")
    token, now = new_api_token(), time.time()
    expires = None if asked.days is None else now + asked.days * _DAY_S
    number = people.add_token(
        stored_form(token), who.user_id, name=asked.name, role=asked.role.value, prefix=token[:_KNOWN_BY], now=now,
        expires=expires,
    )  # fmt: skip
    note(request, who, "token.add", asked.name, role=asked.role.value)
    return {"id": number, "token": token, "expires": expires}


@router.delete("/{row}")
def withdraw(request: Request, who: Viewer, row: RowId) -> dict[str, Any]:
    """Make one of your tokens worthless, at once."""
    if not parts_of(request).access.people.withdraw_token(row, who.user_id):
        raise NotFound("You have no such token.")
    note(request, who, "token.withdraw", str(row))
    return {"withdrawn": row}
