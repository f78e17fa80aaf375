"""Configuration templates: what they say, which devices differ from them, and bringing a change to those that follow one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.enrol.drift import read_drift
from edgesdk.fleet.enrol.template_push import Pushed, push_template
from edgesdk.fleet.enrol.templates import check_template
from edgesdk.fleet.service.api.asked import NODE_NAME, Admin, PlainName
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Conflict, NotFound, Unavailable
from edgesdk.fleet.store import followers
from edgesdk.fleet.store import templates as store
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.plain_text import plain_json, plain_text
from edgesdk_targets.errors import EdgeError, InputError

router = APIRouter(prefix="/api/v1/templates", tags=["templates"])
_LONGEST_NOTE = 400


class TemplateBody(BaseModel):
    """What a template says: a part of `edgesdk.yaml`."""

    model_config = ConfigDict(extra="forbid")

    body: Annotated[dict[str, JsonValue], Field(max_length=64)]
    note: Annotated[str, Field(max_length=_LONGEST_NOTE)] = ""


class NewPush(BaseModel):
    """Whom to tell.

    Attributes:
        node: only this device; all that follow the template unless given.
        expect: how many the sender believes these are; where it is another number, nothing is sent.
        wait_s: for what devices say of it; who is away is told when it comes back.
    """

    model_config = ConfigDict(extra="forbid")

    node: Annotated[str, Field(pattern=NODE_NAME)] | None = None
    expect: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    wait_s: Annotated[float, Field(ge=0, le=30)] = 3.0


@router.get("")
def templates(request: Request, _who: Admin) -> dict[str, Any]:
    """Return every template, how many devices follow it, and how many of these differ from it."""
    with reading(parts_of(request).engine) as connection:
        return {"templates": [{**_brief(one), **counts} for one, counts in read_templates(connection)]}


@router.get("/{name}")
def template(request: Request, _who: Admin, name: PlainName) -> dict[str, Any]:
    """Return what a template says, what is laid over it where, and in what each of its devices differs."""
    with reading(parts_of(request).engine) as connection:
        found = one_template(connection, name)
        laid_over, drifts = overrides(connection, name), read_drift(connection, name)
    return {
        **_brief(found), "body": found.body, "overrides": laid_over,
        "devices": [{"node": one.node, "differs": list(one.differs)} for one in drifts],
    }  # fmt: skip


@router.put("/{name}")
def put(request: Request, who: Admin, name: PlainName, asked: TemplateBody) -> dict[str, Any]:
    """Write a template, new or anew; devices have it when they enrol, or when it is pushed."""
    return {"name": name, "version": keep_template(request, who, name, asked.body, asked.note)}


@router.delete("/{name}")
def delete(request: Request, who: Admin, name: PlainName) -> dict[str, Any]:
    """Remove a template that no device follows."""
    remove_template(request, who, name)
    return {"removed": name}


@router.post("/{name}/push")
async def push(request: Request, who: Admin, name: PlainName, asked: NewPush) -> dict[str, Any]:
    """Bring what a template says to its devices, as their desired state, and return what became of each."""
    done = await push_now(request, who, name, node=asked.node or "", expect=asked.expect, wait_s=asked.wait_s)
    return {"template": name, "devices": [asdict(one) for one in done]}


def read_templates(connection: Connection) -> list[tuple[store.Template, dict[str, int]]]:
    """Return all templates by name, each with how many devices follow it and differ from it."""
    counts: dict[str, dict[str, int]] = {}
    for one in read_drift(connection):
        found = counts.setdefault(one.template, {"devices": 0, "differing": 0})
        found["devices"] += 1
        found["differing"] += bool(one.differs)
    return [(one, counts.get(one.name, {"devices": 0, "differing": 0})) for one in store.list_templates(connection)]


def one_template(connection: Connection, name: str) -> store.Template:
    """Return a template. Raises NotFound."""
    try:
        return store.get_template(connection, name)
    except InputError as error:
        raise NotFound(f"There is no template {name}.") from error


def overrides(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Return what differs from a template at sites and on devices."""
    found = store.every_override(connection)
    return [
        {"scope": scope, "name": where, "body": body}
        for (template, scope, where), body in sorted(found.items(), key=lambda one: (one[0][1] != "site", one[0]))
        if template == name
    ]


def keep_template(request: Request, who: Principal, name: str, body: object, words: str) -> int:
    """Write a template for whoever asks, note it, and return its version.

    Raises:
        InputError: it is none, or says what only a device itself can.
    """
    words = plain_text(words, _LONGEST_NOTE)
    with writing(parts_of(request).engine) as connection:
        version = store.put_template(connection, name, plain_json(check_template(body)), who.asker, now_ms(), words)
    note(request, who, "template.put", name, version=version)
    return version


def remove_template(request: Request, who: Principal, name: str) -> None:
    """Remove a template for whoever asks, and note it.

    Raises:
        NotFound: there is none of this name.
        Conflict: devices follow it.
    """
    with writing(parts_of(request).engine) as connection:
        one_template(connection, name)
        try:
            store.delete_template(connection, name)
        except InputError as error:
            raise Conflict(error.message, hint=error.hint) from error
    note(request, who, "template.delete", name)


async def push_now(
    request: Request, who: Principal, name: str, *, node: str = "", expect: int | None = None, wait_s: float = 3.0
) -> list[Pushed]:
    """Push a template for whoever asks, and note what became of it.

    Raises:
        NotFound: there is no such template.
        BadRequest: other devices are meant than whoever asks believes, or one that does not follow the template.
        Unavailable: there is no broker, or it did not take what was sent.
    """
    parts = parts_of(request)
    if parts.broker is None:
        raise Unavailable("This service was started without a broker.", hint="edgesdk fleet serve --broker …")
    parts.access.limits.commands.take(who.name)
    meant = await run_in_threadpool(_meant, request, name, node)
    if expect is not None and expect != meant:
        raise BadRequest(f"This means {meant} by now, not {expect}.", hint="Look again.")
    try:
        done = await push_template(
            parts.engine, name, parts.broker, tls=parts.tls, node=node, wait_s=wait_s, actor=who.asker
        )
    except InputError:
        raise
    except EdgeError:
        await run_in_threadpool(note, request, who, "template.push", name, outcome="failed", node=node)
        raise
    states = {state: sum(one.state == state for one in done) for state in {one.state for one in done}}
    await run_in_threadpool(note, request, who, "template.push", name, node=node, devices=len(done), states=states)
    return done


def _meant(request: Request, name: str, node: str) -> int:
    with reading(parts_of(request).engine) as connection:
        one_template(connection, name)
        found = followers.names(connection, name)
    if node and node not in found:
        raise BadRequest(f"{node} does not follow {name}.", hint="Look at the template's devices.")
    if not found:
        raise BadRequest(f"No device follows {name}.", hint="A device follows the template that it enrols with.")
    return 1 if node else len(found)


def _brief(one: store.Template) -> dict[str, Any]:
    return {"name": one.name, "version": one.version, "note": one.note, "updated_ms": one.updated_ms}
