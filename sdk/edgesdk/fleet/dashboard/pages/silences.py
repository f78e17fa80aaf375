"""Silences: what nobody is told of at present; operators begin, change and end them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.forms import silence_fields
from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Operator, RowId, Short, Viewer
from edgesdk.fleet.service.api.silences import begin_silence, stop_silence
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, NotFound, Refused
from edgesdk.fleet.store import alert_rules as store
from edgesdk.fleet.store.engine import reading
from edgesdk_targets.errors import InputError

router = APIRouter()


@router.get("/alerts/silences")
def silences_page(request: Request, who: Viewer, node: Short = "", rule: Short = "") -> Response:
    """Show the silences that go on, and the form; an alert's link fills in its device and rule."""
    filled = silence_fields.blank() | {"nodes": node} | ({f"rule.{rule}": "on"} if rule else {})
    return _page(request, who, filled)


@router.get("/alerts/silences/{row}")
def silence_page(request: Request, who: Operator, row: RowId) -> Response:
    """Show the form of one of them."""
    with reading(parts_of(request).engine) as connection:
        found = store.list_silences(connection, now_ms()).get(row)
    if found is None:
        raise NotFound("There is no such silence that goes on.")
    return _page(request, who, silence_fields.shown(found), row=row)


@router.post("/alerts/silences")
async def save_silence(request: Request, who: Operator) -> Response:
    """Begin a silence, or put it in another's place."""
    form = await read_form(request)
    before = form.get("instead_of", "")
    row = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    try:
        silence = silence_fields.silence_of(form, datetime.now(timezone.utc))
        await run_in_threadpool(partial(begin_silence, request, who, silence, instead_of=row))
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        # Boxes that were not ticked are not sent: they must not come back ticked.
        unticked = {name: value for name, value in silence_fields.blank().items() if not name.startswith("day.")}
        return await run_in_threadpool(partial(_page, request, who, unticked | form, row=row, refused=refused))
    return RedirectResponse("/alerts/silences", 303)


@router.post("/alerts/silences/{row}/end")
def end_silence(request: Request, who: Operator, row: RowId) -> Response:
    """End a silence now."""
    stop_silence(request, who, row)
    return RedirectResponse("/alerts/silences", 303)


def _page(
    request: Request, who: Principal, filled: Mapping[str, str], *, row: int | None = None,
    refused: Refused | None = None,
) -> Response:  # fmt: skip
    with reading(parts_of(request).engine) as connection:
        found = store.list_silences(connection, now_ms())
        rules = [rule.name for rule in store.list_rules(connection).values()]
    now = datetime.now(timezone.utc)
    # Of a weekly one: whether it lasts at this moment.
    lasting = {
        number: (silence.since is None or silence.since <= now)
        and (silence.weekly is None or silence.weekly.covers(now))
        for number, silence in found.items()
    }
    return render(
        request, "silences.html", who, status=200 if refused is None else refused.status, silences=found, row=row,
        lasting=lasting, rules=rules, filled=filled, refused=refused, lasts=silence_fields.LASTS,
        days=silence_fields.DAYS,
    )  # fmt: skip
