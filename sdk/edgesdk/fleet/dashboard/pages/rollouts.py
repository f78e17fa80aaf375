"""Roll-outs: how far each is and why it halted, the bundles that there are, and one click to begin one or take it back."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.rollout.policy import Policy, ShadowRules
from edgesdk.fleet.rollout.seen import Verb
from edgesdk.fleet.service.api import rollouts as api
from edgesdk.fleet.service.api.asked import Admin, Operator, Viewer
from edgesdk.fleet.service.api.rollouts import RolloutKey
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Conflict, NotFound, Refused, Unavailable
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.rollout_begin import outlook
from edgesdk.fleet.store.rollout_pages import list_rollouts
from edgesdk.fleet.store.selection import Selection
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems
from edgesdk_targets.time_span import seconds_of

router = APIRouter()
WORDS = {
    "pause": "Pause",
    "resume": "Go on",
    "approve": "Let the next wave begin",
    "abort": "End it",
    "rollback": "Roll back",
}


@router.get("/rollouts")
def rollouts_page(request: Request, who: Viewer) -> Response:
    """Show roll-outs and bundles."""
    return _page(request, who)


@router.get("/rollouts/new")
def new_rollout(request: Request, who: Admin) -> Response:
    """Show whom a roll-out would mean, before anybody begins it."""
    asked = request.query_params
    try:
        selection, policy = _meant(asked)
        bundle = api.to_roll_out(request, asked.get("digest", ""))
        with reading(parts_of(request).engine) as connection:
            found = outlook(connection, bundle, selection, policy, now_ms())
    except (BadRequest, NotFound, Unavailable) as refused:
        return _page(request, who, refused)
    except InputError as error:
        return _page(request, who, Conflict(error.message, hint=error.hint or ""))
    return render(
        request, "rollout_new.html", who, bundle=bundle, selection=selection, policy=policy, outlook=found, asked=asked
    )


@router.post("/rollouts")
async def begin_rollout(request: Request, who: Admin) -> Response:
    """Begin a roll-out of a bundle by the usual rules, to all devices or those of a site: to as many as the person saw."""
    form = await read_form(request)

    def work() -> Response:
        seen = form.get("expect", "")
        try:
            selection, policy = _meant(form)
            if not seen.isdecimal():
                raise Conflict("How many devices this means was not looked at.", hint="Begin with Roll out.")
            key = api.begin_rollout(request, who, form.get("digest", ""), selection, policy, int(seen[:9]))
        except (BadRequest, NotFound, Conflict, Unavailable) as refused:
            return _page(request, who, refused)
        return RedirectResponse(f"/rollouts/{key}", 303)

    return await run_in_threadpool(work)


@router.get("/rollouts/{name}")
def rollout_page(request: Request, who: Viewer, name: RolloutKey) -> Response:
    """Show one roll-out: its waves, each device's step, and what happened."""
    return render(request, "rollout.html", who, shown=api.one_rollout(request, name), words=WORDS)


@router.post("/rollouts/{name}/pause")
def pause(request: Request, who: Operator, name: RolloutKey) -> Response:
    """Tell nobody more."""
    return _asked(request, who, name, "pause")


@router.post("/rollouts/{name}/abort")
def abort(request: Request, who: Operator, name: RolloutKey) -> Response:
    """End it."""
    return _asked(request, who, name, "abort")


@router.post("/rollouts/{name}/rollback")
def rollback(request: Request, who: Operator, name: RolloutKey) -> Response:
    """Take everybody back."""
    return _asked(request, who, name, "rollback")


@router.post("/rollouts/{name}/resume")
async def resume(request: Request, who: Admin, name: RolloutKey) -> Response:
    """Go on; after a halt with a reason."""
    form = await read_form(request)
    return await run_in_threadpool(_asked, request, who, name, "resume", form.get("why", ""))


@router.post("/rollouts/{name}/approve")
def approve(request: Request, who: Admin, name: RolloutKey) -> Response:
    """Let the next wave begin."""
    return _asked(request, who, name, "approve")


def _meant(given: Mapping[str, str]) -> tuple[Selection, Policy]:
    """Return whom and what a form means. Raises BadRequest."""
    try:
        shadow = _shadow(given.get("shadow", "").strip(), given.get("shadow_devices", "").strip())
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(ShadowRules, error)[:3])
        raise BadRequest(f"The shadow wave cannot be so: {told}", hint="See docs/rollouts.md.") from error
    except InputError as error:
        raise BadRequest(f"The shadow wave: {error.message}", hint=error.hint or "") from error
    rules = Policy(approval=given.get("approval") == "on", shadow=shadow)
    return Selection(site=given.get("site", "").strip()[:256]), rules


def _shadow(lasts: str, devices: str) -> ShadowRules | None:
    """Return the shadow wave of a form; None where it asks for none."""
    if not lasts:
        return None
    return ShadowRules.model_validate({"lasts_s": seconds_of(lasts), "devices": devices or 1})


def _asked(request: Request, who: Principal, name: str, verb: Verb, why: str = "") -> Response:
    api.ask_rollout(request, who, name, verb, why)
    return RedirectResponse(f"/rollouts/{name}", 303)


def _page(request: Request, who: Principal, refused: Refused | None = None) -> Response:
    with reading(parts_of(request).engine) as connection:
        found = list_rollouts(connection)
    return render(
        request, "rollouts.html", who, status=200 if refused is None else refused.status, found=found,
        bundles=api.shelved(request), refused=refused,
    )  # fmt: skip
