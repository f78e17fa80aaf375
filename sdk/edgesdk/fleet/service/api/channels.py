"""Channels: how people are told of alerts. Secrets come in and are never given out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import Connection

from edgesdk.fleet.alerts.channel_settings import Seal, channel_from, sealed_settings, shown_settings
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk.fleet.alerts.trial import send_trial
from edgesdk.fleet.service.api.asked import Admin, PlainName
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import Conflict, NotFound, Unavailable
from edgesdk.fleet.store import alert_rules as store
from edgesdk.fleet.store.deliveries import Deliveries, deliveries
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.plain_text import plain_json
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1/channels", tags=["alerts"])


class ChannelChange(BaseModel):
    """A channel as it shall be.

    Attributes:
        settings: as in docs/alerts.md; a secret that is left out stays where the receiver is the same, and so does a webhook's URL;
            one that is null is taken away.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["webhook", "email", "mqtt"]
    settings: Annotated[dict[str, JsonValue], Field(max_length=16)] = {}
    enabled: bool = True


@router.get("")
def channels(request: Request, _who: Admin) -> dict[str, Any]:
    """Return every channel, without its secrets, and how it does."""
    with reading(parts_of(request).engine) as connection:
        return {"channels": [shown(one, done) for one, done in read_channels(connection)]}


@router.put("/{name}")
def put(request: Request, who: Admin, name: PlainName, asked: ChannelChange) -> dict[str, Any]:
    """Make a channel, or give one of this name other settings."""
    return shown(keep_channel(request, who, name, asked), Deliveries())


@router.delete("/{name}")
def delete(request: Request, who: Admin, name: PlainName) -> dict[str, Any]:
    """Remove a channel that no rule names."""
    remove_channel(request, who, name)
    return {"removed": name}


@router.post("/{name}/test")
def trial(request: Request, who: Admin, name: PlainName) -> dict[str, Any]:
    """Send a trial, once, and return what became of it."""
    problem = try_channel(request, who, name)
    return {"delivered": not problem, "problem": problem}


def read_channels(connection: Connection) -> list[tuple[store.StoredChannel, Deliveries]]:
    """Return all channels by name, each with how it does."""
    told = deliveries(connection)
    return [(one, told.get(one.id, Deliveries())) for one in store.list_channels(connection)]


def shown(channel: store.StoredChannel, done: Deliveries) -> dict[str, Any]:
    """Return a channel for people and programs."""
    return {
        "name": channel.name, "kind": channel.kind, "enabled": channel.enabled,
        "settings": shown_settings(channel.settings), "deliveries": asdict(done),
    }  # fmt: skip


def keep_channel(request: Request, who: Principal, name: str, asked: ChannelChange) -> store.StoredChannel:
    """Write a channel for whoever asks, and note it without its secrets.

    Raises:
        InputError: it cannot be used as it is described.
        Unavailable: this service has no key for secrets.
    """
    seal = _seal(request)
    with writing(parts_of(request).engine) as connection:
        old = _named(connection, name)
        before: Mapping[str, Any] = old.settings if old is not None and old.kind == asked.kind else {}
        given: dict[str, Any] = plain_json(asked.settings)
        if not given.get("url") and before.get("url"):
            given["url"] = before["url"]
        settings = sealed_settings(asked.kind, given, seal, before=before)
        store.put_channel(connection, name, asked.kind, settings, now_ms(), enabled=asked.enabled)
        kept = _named(connection, name)
        assert kept is not None  # noqa: S101  (it was just written)
    told = shown_settings(kept.settings)
    note(request, who, "channel.put", name, kind=kept.kind, enabled=kept.enabled, settings=told)
    return kept


def remove_channel(request: Request, who: Principal, name: str) -> None:
    """Remove a channel for whoever asks, and note it.

    Raises:
        NotFound: there is none of this name.
        Conflict: a rule tells it by name.
    """
    with writing(parts_of(request).engine) as connection:
        if _named(connection, name) is None:
            raise NotFound(f"There is no channel {name}.")
        try:
            store.delete_channel(connection, name)
        except InputError as error:
            raise Conflict(error.message, hint=error.hint) from error
    note(request, who, "channel.delete", name)


def try_channel(request: Request, who: Principal, name: str) -> str:
    """Send a trial by a channel, note it, and return why it was not taken; empty where it was.

    Raises:
        NotFound: there is none of this name.
        InputError: its secret was sealed with another key.
        Unavailable: this service has no key for secrets.
    """
    parts = parts_of(request)
    with reading(parts.engine) as connection:
        found = _named(connection, name)
    if found is None:
        raise NotFound(f"There is no channel {name}.")
    commander, problem = parts.commander, ""
    channel = channel_from(
        found.name, found.kind, found.settings, _seal(request), say=None if commander is None else commander.say,
        connected=lambda: commander is not None and commander.connected,
    )  # fmt: skip
    # People press buttons, and other machines are rung up by it: as many as commands.
    parts.access.limits.commands.take(who.name)
    try:
        send_trial(channel, datetime.now(timezone.utc))
    except NotDelivered as error:
        problem = f"{error.message} {error.hint}".strip()
    note(request, who, "channel.test", name, outcome="failed" if problem else "ok", problem=problem)
    return problem


def _named(connection: Connection, name: str) -> store.StoredChannel | None:
    return next((one for one in store.list_channels(connection) if one.name == name), None)


def _seal(request: Request) -> Seal:
    seal = parts_of(request).seal
    if seal is None:
        raise Unavailable("This service has no key for channels' secrets.", hint="edgesdk fleet serve --seal FILE")
    return seal
