"""Channels: who is told of alerts, and whether they are; for admins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from edgesdk.fleet.alerts.channel_settings import shown_settings
from edgesdk.fleet.dashboard.forms import channel_fields
from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api import channels as api
from edgesdk.fleet.service.api.asked import PLAIN_NAME, Admin, PlainName, Short
from edgesdk.fleet.service.api.channels import ChannelChange
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Conflict, NotFound, Refused
from edgesdk.fleet.store.alert_rules import StoredChannel, list_channels, list_rules
from edgesdk.fleet.store.engine import reading
from edgesdk_targets.errors import InputError

router = APIRouter()


@router.get("/alerts/channels")
def channels_page(request: Request, who: Admin) -> Response:
    """Show every channel, which rules tell it, and how it does."""
    return _list(request, who)


@router.get("/alerts/new-channel")
def new_channel_page(request: Request, who: Admin, kind: Short = "webhook") -> Response:
    """Show the form of a channel that is still to be made."""
    kind = kind if kind in channel_fields.KINDS else "webhook"
    return _form(request, who, kind, channel_fields.blank(kind))


@router.get("/alerts/channels/{name}")
def channel_page(request: Request, who: Admin, name: PlainName) -> Response:
    """Show the form of a channel."""
    found = _found(request, name)
    if found is None:
        raise NotFound(f"There is no channel {name}.")
    filled = channel_fields.shown(found.kind, found.settings) | {"enabled": "on" if found.enabled else ""}
    return _form(request, who, found.kind, filled, name=name)


@router.post("/alerts/channels")
async def save_channel(request: Request, who: Admin) -> Response:
    """Make a channel, or change the one of this name."""
    form = await read_form(request)
    kind, before = form.get("kind", ""), form.get("before", "")
    try:
        await run_in_threadpool(_save, request, who, form)
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        kind = kind if kind in channel_fields.KINDS else "webhook"
        # What was typed as a secret does not come back in a page.
        filled = channel_fields.blank(kind) | {"enabled": ""} | form | {"secret": "", "password": ""}
        return await run_in_threadpool(partial(_form, request, who, kind, filled, refused=refused, name=before))
    return RedirectResponse("/alerts/channels", 303)


@router.post("/alerts/channels/{name}/test")
def test_channel(request: Request, who: Admin, name: PlainName) -> Response:
    """Send a trial and say what became of it."""
    problem = api.try_channel(request, who, name)
    return _list(request, who, tried=name, problem=problem)


@router.post("/alerts/channels/{name}/delete")
def delete_channel(request: Request, who: Admin, name: PlainName) -> Response:
    """Remove a channel."""
    api.remove_channel(request, who, name)
    return RedirectResponse("/alerts/channels", 303)


def _save(request: Request, who: Principal, form: Mapping[str, str]) -> None:
    """Keep what a form says.

    Raises:
        InputError: a field cannot be used.
        Conflict: a new channel has the name of another.
    """
    kind, name = form.get("kind", ""), form.get("before", "") or form.get("name", "").strip()
    if not re.fullmatch(PLAIN_NAME, name):
        raise InputError(f"{name[:40]!r} is no name for a channel.", hint="Up to 64 letters, digits, _ and -.")
    if not form.get("before") and _found(request, name) is not None:
        raise Conflict(f"There is a channel {name} already.", hint="Change that one, or take another name.")
    settings = channel_fields.settings_of(kind, form)
    asked = ChannelChange.model_validate({"kind": kind, "settings": settings, "enabled": "enabled" in form})
    api.keep_channel(request, who, name, asked)


def _found(request: Request, name: str) -> StoredChannel | None:
    with reading(parts_of(request).engine) as connection:
        return next((one for one in list_channels(connection) if one.name == name), None)


def _form(
    request: Request, who: Principal, kind: str, filled: Mapping[str, str], *, name: str = "",
    refused: Refused | None = None,
) -> Response:  # fmt: skip
    found = _found(request, name) if name else None
    kept = shown_settings(found.settings) if found is not None and found.kind == kind else {}
    return render(
        request, "channel.html", who, status=200 if refused is None else refused.status, kind=kind, filled=filled,
        name=name, kept=kept, refused=refused, kinds=channel_fields.KINDS, security=channel_fields.SECURITY,
    )  # fmt: skip


def _list(request: Request, who: Principal, *, tried: str = "", problem: str = "") -> Response:
    with reading(parts_of(request).engine) as connection:
        found = api.read_channels(connection)
        rules = list(list_rules(connection).values())
    lines = [
        {
            "channel": one, "done": done, "where": channel_fields.where(one.kind, shown_settings(one.settings)),
            "rules": [rule.name for rule in rules if one.name in rule.channels],
        }
        for one, done in found
    ]  # fmt: skip
    return render(
        request, "channels.html", who, lines=lines, kinds=channel_fields.KINDS, tried=tried, problem=problem,
        everybody=sum(rule.enabled and not rule.channels for rule in rules),
    )  # fmt: skip
