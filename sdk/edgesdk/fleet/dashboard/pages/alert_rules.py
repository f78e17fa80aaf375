"""Alert rules: the list for everybody, the forms for admins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.dashboard.forms import rule_fields
from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.alert_rules import keep_rule, remove_rule
from edgesdk.fleet.service.api.asked import Admin, PlainName, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, NotFound, Refused
from edgesdk.fleet.store import alert_rules as store
from edgesdk.fleet.store.engine import reading
from edgesdk_targets.errors import InputError

router = APIRouter()


@router.get("/alerts/rules")
def rules_page(request: Request, who: Viewer) -> Response:
    """Show every rule, and who is told."""
    with reading(parts_of(request).engine) as connection:
        rules = list(store.list_rules(connection).values())
        channels = store.list_channels(connection)
    return render(request, "alert_rules.html", who, rules=rules, channels=channels, limit_words=rule_fields.limit_words)


@router.get("/alerts/new-rule")
def new_rule_page(request: Request, who: Admin) -> Response:
    """Show the form of a rule that is still to be made."""
    return _form(request, who, rule_fields.blank(), name="")


@router.get("/alerts/rules/{name}")
def rule_page(request: Request, who: Admin, name: PlainName) -> Response:
    """Show the form of a rule."""
    with reading(parts_of(request).engine) as connection:
        found = next((rule for rule in store.list_rules(connection).values() if rule.name == name), None)
    if found is None:
        raise NotFound(f"There is no rule {name}.")
    return _form(request, who, rule_fields.shown(found), name=name)


@router.post("/alerts/rules")
async def save_rule(request: Request, who: Admin) -> Response:
    """Make a rule, or change the one of this name."""
    form = await read_form(request)
    try:
        await run_in_threadpool(keep_rule, request, who, rule_fields.rule_of(form))
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        filled = rule_fields.blank() | {"enabled": ""} | form
        return await run_in_threadpool(
            partial(_form, request, who, filled, name=form.get("before", ""), refused=refused)
        )
    return RedirectResponse("/alerts/rules", 303)


@router.post("/alerts/rules/{name}/delete")
def delete_rule(request: Request, who: Admin, name: PlainName) -> Response:
    """Remove a rule, and with it what it found."""
    remove_rule(request, who, name)
    return RedirectResponse("/alerts/rules", 303)


def _form(
    request: Request, who: Principal, filled: Mapping[str, str], *, name: str, refused: Refused | None = None
) -> Response:
    with reading(parts_of(request).engine) as connection:
        channels = [one.name for one in store.list_channels(connection)]
    return render(
        request, "alert_rule.html", who, status=200 if refused is None else refused.status, filled=filled, name=name,
        refused=refused, kinds=rule_fields.KINDS, channels=channels,
    )  # fmt: skip
