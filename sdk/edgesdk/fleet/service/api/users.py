"""People: who may log in, and with which role."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from edgesdk.fleet.service.api.asked import Admin
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.passwords import check_new, hash_password
from edgesdk.fleet.service.security.principal import peer
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.people import User, change_user

router = APIRouter(prefix="/api/v1/users", tags=["people"])

USER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
UserName = Annotated[str, Path(pattern=USER_NAME)]


class NewUser(BaseModel):
    """Somebody who may log in."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=USER_NAME)]
    role: Role
    password: Annotated[str, Field(max_length=256)]


class UserChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None
    password: Annotated[str, Field(max_length=256)] | None = None


@router.get("")
def users(request: Request, _who: Admin) -> dict[str, Any]:
    """Return everybody."""
    return {"users": [_json(user) for user in parts_of(request).access.people.all()]}


@router.post("", status_code=201)
def add(request: Request, who: Admin, asked: NewUser) -> dict[str, Any]:
    """Let somebody in."""
    stored = hash_password(check_new(asked.password, asked.name))
    user = parts_of(request).access.people.add(asked.name, asked.role.value, stored)
    note(request, who, "user.add", asked.name, role=asked.role.value)
    return _json(user)


@router.patch("/{name}")
def change(request: Request, who: Admin, name: UserName, asked: UserChange) -> dict[str, Any]:
    """Give somebody another role or password, or keep them out; their sessions end with all but a new role."""
    parts = parts_of(request)
    if parts.access.people.user_named(name) is None:
        raise NotFound(f"There is no user {name}.")
    stored = None if asked.password is None else hash_password(check_new(asked.password, name))
    done: dict[str, Any] = {
        "role": asked.role,
        "disabled": asked.disabled,
        "password": asked.password is not None or None,
    }
    # All of it or nothing, and its line in the audit log with it.
    with writing(parts.engine) as connection:
        changed = change_user(
            connection, name, role=None if asked.role is None else asked.role.value, disabled=asked.disabled,
            password_hash=stored,
        )  # fmt: skip
        noted = {key: value for key, value in done.items() if value is not None}
        add_entry(connection, who.asker, "user.change", name, address=peer(request), detail=noted)
    return _json(changed)


def _json(user: User) -> dict[str, Any]:
    return {
        "name": user.name, "role": user.role, "disabled": user.disabled, "created_ms": user.created_ms,
        "last_login_ms": user.last_login_ms,
    }  # fmt: skip
