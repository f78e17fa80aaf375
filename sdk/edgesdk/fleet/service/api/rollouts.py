"""Roll-outs: another model to many devices, wave by wave; and the bundles that there are for it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.seen import Verb
from edgesdk.fleet.rollout.shelf import Shelved
from edgesdk.fleet.service.api.asked import Admin, Operator, Viewer
from edgesdk.fleet.service.api.commands import Which
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.rollouts.driver import NO_SERVER
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import Conflict, NotFound, Unavailable
from edgesdk.fleet.store import rollout_begin, rollout_orders
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.rollout_pages import list_rollouts, rollout_page
from edgesdk.fleet.store.selection import Selection
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1", tags=["rollouts"])
RolloutKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9._+-]{1,300}$")]


class NewRollout(BaseModel):
    """A bundle, and who gets it.

    Attributes:
        digest: of a bundle on the shelf.
        expect: how many devices the sender believes these are; where it is another number, nothing begins.
    """

    model_config = ConfigDict(extra="forbid")

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    selection: Which = Which()
    policy: Policy = Policy()
    expect: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Asked(BaseModel):
    """Why somebody asks something of a roll-out; going on after a halt needs it."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(max_length=rollout_orders.MAX_WHY_CHARACTERS)] = ""


@router.get("/bundles")
def bundles(request: Request, _who: Viewer) -> dict[str, Any]:
    """Return what can be rolled out, bundles and releases of the agent: variants, metrics, who signed, what it needs."""
    return {"bundles": [one.to_json() for one in shelved(request)]}


@router.get("/rollouts")
def rollouts(request: Request, _who: Viewer) -> dict[str, Any]:
    """Return roll-outs, the newest first."""
    with reading(parts_of(request).engine) as connection:
        return {"rollouts": list_rollouts(connection)}


@router.get("/rollouts/{name}")
def rollout(request: Request, _who: Viewer, name: RolloutKey) -> dict[str, Any]:
    """Return one: its waves, rules, devices, what happened and what may be asked of it."""
    return one_rollout(request, name)


@router.post("/rollouts", status_code=201)
def begin(request: Request, who: Admin, asked: NewRollout) -> dict[str, Any]:
    """Begin a roll-out; it goes on by itself."""
    selection = Selection.of(asked.selection.model_dump())
    return {"key": begin_rollout(request, who, asked.digest, selection, asked.policy, asked.expect)}


@router.post("/rollouts/{name}/pause", status_code=202)
def pause(request: Request, who: Operator, name: RolloutKey) -> dict[str, Any]:
    """Tell nobody more, until it is resumed."""
    return ask_rollout(request, who, name, "pause")


@router.post("/rollouts/{name}/abort", status_code=202)
def abort(request: Request, who: Operator, name: RolloutKey) -> dict[str, Any]:
    """End it: who confirmed keeps it, who is on the way is called back."""
    return ask_rollout(request, who, name, "abort")


@router.post("/rollouts/{name}/rollback", status_code=202)
def rollback(request: Request, who: Operator, name: RolloutKey) -> dict[str, Any]:
    """Take every device back that has the bundle or the agent; also after the end."""
    return ask_rollout(request, who, name, "rollback")


@router.post("/rollouts/{name}/resume", status_code=202)
def resume(request: Request, who: Admin, name: RolloutKey, asked: Asked | None = None) -> dict[str, Any]:
    """Go on after a pause; after a halt with a reason, and without those that had failed."""
    return ask_rollout(request, who, name, "resume", asked.why if asked is not None else "")


@router.post("/rollouts/{name}/approve", status_code=202)
def approve(request: Request, who: Admin, name: RolloutKey) -> dict[str, Any]:
    """Let the next wave begin."""
    return ask_rollout(request, who, name, "approve")


def shelved(request: Request) -> list[Shelved]:
    """Return the bundles on the service's shelf; none where it drives no roll-outs."""
    shelf = parts_of(request).shelf
    return [] if shelf is None else shelf.bundles()


def one_rollout(request: Request, name: str) -> dict[str, Any]:
    """Return everything of a roll-out. Raises NotFound."""
    try:
        with reading(parts_of(request).engine) as connection:
            return rollout_page(connection, name, now_ms())
    except InputError as error:
        raise NotFound(error.message) from error


def begin_rollout(
    request: Request, who: Principal, digest: str, selection: Selection, policy: Policy, expect: int | None
) -> str:
    """Begin a roll-out for whoever asks, note it, and return its key.

    Raises:
        NotFound, Unavailable: as of `to_roll_out`.
        Conflict: nobody is meant, or some are in another one.
    """
    parts, bundle = parts_of(request), to_roll_out(request, digest)
    try:
        with writing(parts.engine) as connection:
            return rollout_begin.begin(
                connection, bundle, selection, policy, actor=who.asker, now_ms=now_ms(), expect=expect
            )
    except InputError as error:
        raise Conflict(error.message, hint=error.hint or "") from error


def to_roll_out(request: Request, digest: str) -> Shelved:
    """Return a bundle that this service can bring to devices.

    Raises:
        NotFound: there is no such bundle, or it is not signed. Unavailable: devices cannot be told, or not fetch it.
    """
    parts = parts_of(request)
    bundle = None if parts.shelf is None else parts.shelf.find(digest)
    if bundle is None:
        raise NotFound("There is no such signed bundle on the shelf.", hint="Put it into the folder of --bundles.")
    if parts.broker is None:
        raise Unavailable("This service was started without a broker.", hint="edgesdk fleet serve --broker …")
    if not parts.bundle_server:
        raise Unavailable("Devices cannot fetch bundles from this service.", hint=NO_SERVER)
    return bundle


def ask_rollout(request: Request, who: Principal, name: str, verb: Verb, why: str = "") -> dict[str, Any]:
    """Ask something of a roll-out for whoever asks, and note it.

    Raises:
        NotFound: there is none. Conflict: it means nothing to it as it is, or needs a reason.
    """
    one_rollout(request, name)
    try:
        with writing(parts_of(request).engine) as connection:
            rollout_orders.order(connection, name, verb, actor=who.asker, now_ms=now_ms(), why=why)
    except InputError as error:
        raise Conflict(error.message, hint=error.hint or "") from error
    return {"key": name, "asked": verb}
