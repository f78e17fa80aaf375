"""Alert rules: what counts as wrong, on which devices, and who is told."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.service.api.asked import Admin, PlainName, Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, NotFound
from edgesdk.fleet.store import alert_rules as store
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1/alert-rules", tags=["alerts"])


@router.get("")
def rules(request: Request, _who: Viewer) -> dict[str, Any]:
    """Return every rule, by name, and the names of the channels that rules can tell."""
    with reading(parts_of(request).engine) as connection:
        found = store.list_rules(connection).values()
        known = [one.name for one in store.list_channels(connection)]
    return {"rules": [rule.model_dump(mode="json") for rule in found], "channels": known}


@router.put("/{name}")
def put(request: Request, who: Admin, name: PlainName, rule: Rule) -> dict[str, Any]:
    """Make a rule, or give one of this name other limits; what it found already goes on by the new ones."""
    if rule.name != name:
        raise BadRequest(f"The rule calls itself {rule.name!r}, and its address {name!r}.", hint="Use one name.")
    keep_rule(request, who, rule)
    return rule.model_dump(mode="json")


@router.delete("/{name}")
def delete(request: Request, who: Admin, name: PlainName) -> dict[str, Any]:
    """Remove a rule, and with it the alerts that it found."""
    remove_rule(request, who, name)
    return {"removed": name}


def keep_rule(request: Request, who: Principal, rule: Rule) -> None:
    """Write a rule for whoever asks, and note it.

    Raises:
        BadRequest: it tells a channel that is not there.
    """
    with writing(parts_of(request).engine) as connection:
        known = {one.name for one in store.list_channels(connection)}
        missing = next((name for name in rule.channels if name not in known), None)
        if missing is not None:
            raise BadRequest(f"{missing[:64]!r} is no channel.", hint="edgesdk fleet alerts apply makes channels.")
        store.put_rule(connection, rule, who.asker, now_ms())
    note(request, who, "alert-rule.put", rule.name, kind=rule.kind, limit=rule.limit, enabled=rule.enabled)


def remove_rule(request: Request, who: Principal, name: str) -> None:
    """Remove a rule for whoever asks, and note it.

    Raises:
        NotFound: there is none of this name.
    """
    with writing(parts_of(request).engine) as connection:
        try:
            store.delete_rule(connection, name)
        except InputError as error:
            raise NotFound(f"There is no rule {name}.") from error
    note(request, who, "alert-rule.delete", name)
