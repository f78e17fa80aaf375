"""Commands: for one device, or for all that a selection means; and what came of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.service.api.asked import Cursor, Limit, Operator, Short, Viewer, must
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.commander import MAX_DEVICES
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.refusals import BadRequest, NotFound, Unavailable
from edgesdk.fleet.store.command_log import command_json, list_commands, one_command
from edgesdk.fleet.store.devices import names
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.selection import Selection

router = APIRouter(prefix="/api/v1/commands", tags=["commands"])

CommandId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Short = Annotated[str, Field(max_length=256)]


class Which(BaseModel):
    """Which devices: as in the list's filters; several states with commas, all of the tags."""

    model_config = ConfigDict(extra="forbid")

    tags: Annotated[list[_Short], Field(max_length=10)] = []
    site: _Short = ""
    target: _Short = ""
    state: _Short = ""
    bundle: Annotated[str, Field(max_length=512)] = ""
    text: _Short = ""
    tenant: _Short = ""


class NewCommand(BaseModel):
    """Something to do. Either `node`, or `selection` with `all_of` for every device that it means.

    Attributes:
        expect: how many devices the sender believes a selection means; where it is another number, nothing is sent.
        within_s: in which a device must begin.
    """

    model_config = ConfigDict(extra="forbid")

    verb: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    arguments: Annotated[dict[str, JsonValue], Field(max_length=64)] = {}
    node: Annotated[str, Field(max_length=129)] = ""
    selection: Which | None = None
    expect: Annotated[int, Field(ge=1, le=MAX_DEVICES)] | None = None
    within_s: Annotated[float, Field(ge=1, le=3600)] = 30.0


@router.post("", status_code=202)
async def send(request: Request, who: Operator, asked: NewCommand) -> dict[str, Any]:
    """Send a command; it is answered when devices answer: ask for it by its id, or listen to the device's live events."""
    parts = parts_of(request)
    # By the person: with each further token one could otherwise send as many again.
    parts.access.limits.commands.take(who.name)
    if parts.commander is None:
        raise Unavailable("This service was started without a broker.", hint="edgesdk fleet serve --broker …")
    devices, chosen = await run_in_threadpool(_meant, request, asked)
    subject = asked.node or f"{len(devices)} devices"
    try:
        ids, bulk = await parts.commander.send(
            devices, asked.verb, asked.arguments, actor=who.asker, within_s=asked.within_s,
            selection=None if chosen is None else chosen.to_json(),
        )  # fmt: skip
    except Unavailable:
        # Some may have gone out before the connection was lost.
        await run_in_threadpool(note, request, who, "command.send", subject, outcome="failed", verb=asked.verb)
        raise
    await run_in_threadpool(
        note, request, who, "command.send", subject, verb=asked.verb, arguments=asked.arguments, bulk=bulk
    )
    return {"ids": ids, "bulk": bulk, "devices": len(devices)}


@router.get("")
def commands(
    request: Request, _who: Viewer, node: Short = "", bulk: int | None = None, state: Short = "", limit: Limit = 50,
    cursor: Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return commands, the newest first."""
    if bulk is not None and not 0 < bulk < 1 << 53:
        raise NotFound("There is no such command.")
    with reading(parts_of(request).engine) as connection:
        page = list_commands(connection, node=node, bulk=bulk, state=state, limit=limit, cursor=cursor)
    return {"commands": [command_json(row) for row in page.items], "next": page.next}


@router.get("/{command_id}")
def command(request: Request, _who: Viewer, command_id: CommandId) -> dict[str, Any]:
    """Return a command and what became of it."""
    with reading(parts_of(request).engine) as connection:
        found = one_command(connection, command_id)
    must(found, f"command {command_id}")
    assert found is not None  # noqa: S101  (for the type)
    return command_json(found)


def _meant(request: Request, asked: NewCommand) -> tuple[list[tuple[int, str]], Selection | None]:
    if bool(asked.node) == (asked.selection is not None):
        raise BadRequest("Say for whom: either `node`, or `selection`.")
    chosen = Selection(node=asked.node) if asked.selection is None else Selection.of(asked.selection.model_dump())
    with reading(parts_of(request).engine) as connection:
        devices = names(connection, chosen, now_ms(), limit=MAX_DEVICES + 1)
    if asked.selection is None:
        must(devices or None, f"device {asked.node[:80]}")
        return devices, None
    if not devices:
        raise NotFound("No device is meant by this.")
    if len(devices) > MAX_DEVICES:
        raise BadRequest(f"More than {MAX_DEVICES} devices are meant by this.", hint="Choose fewer.")
    if asked.expect is not None and asked.expect != len(devices):
        raise BadRequest(f"{len(devices)} devices are meant by this now, not {asked.expect}.", hint="Look again.")
    return devices, chosen
