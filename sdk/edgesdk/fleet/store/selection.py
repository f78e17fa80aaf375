"""Which devices: the filters that lists, commands in bulk, alert rules and silences share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, case, func, literal, or_, select

from edgesdk.fleet.rollout.seen import UNDER_WAY
from edgesdk.fleet.store.tables import node_tags, nodes, now
from edgesdk_targets.errors import InputError

DeviceState = Literal["online", "degraded", "updating", "offline", "never_seen", "revoked"]
STATES: tuple[str, ...] = get_args(DeviceState)
# Silence after which a device is not there, whatever was said last: for lists, commands and alerts alike.
STALE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Devices that fulfil everything that is given; empty fields say nothing.

    Attributes:
        tags: all of these.
        state: one of `STATES`; several with commas.
        bundle: a name, or `name@version`.
        text: a part of its name or title.
        node: exactly this one.
    """

    tags: tuple[str, ...] = ()
    site: str = ""
    target: str = ""
    state: str = ""
    bundle: str = ""
    text: str = ""
    node: str = ""
    tenant: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Selection:
        """Read a selection as it is stored.

        Raises:
            InputError: it names something that is no filter.
        """
        given = given or {}
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(f"{min(unknown)[:40]!r} is no filter of devices.", hint="tags, site, target, state …")
        return cls(**{**given, "tags": tuple(given.get("tags") or ())})

    def to_json(self) -> dict[str, Any]:
        """Return what is given, as it is stored."""
        return {key: value for key, value in asdict(self).items() if value}

    def where(self, now_ms: int, *, stale_ms: int = STALE_MS) -> list[ColumnElement[bool]]:
        """Return the conditions over `nodes`, joined with `now` (see `devices.JOINED`).

        Raises:
            InputError: there is no such state.
        """
        found: list[ColumnElement[bool]] = []
        for column, value in ((nodes.c.site, self.site), (nodes.c.target, self.target), (nodes.c.name, self.node)):
            if value:
                found.append(column == value)
        found += [nodes.c.id.in_(select(node_tags.c.node).where(node_tags.c.tag == tag)) for tag in self.tags]
        if self.bundle:
            name, _, version = self.bundle.partition("@")
            found.append(nodes.c.bundle_name == name)
            if version:
                found.append(nodes.c.bundle_version == version)
        if self.text:
            like = [c.icontains(self.text, autoescape=True) for c in (nodes.c.name, nodes.c.title)]
            found.append(or_(*like))
        if self.tenant:
            found.append(nodes.c.name.startswith(f"{self.tenant}.", autoescape=True))
        if self.state:
            found.append(state_of(now_ms, stale_ms=stale_ms).in_(_states(self.state)))
        return found


def state_of(now_ms: int, *, stale_ms: int = STALE_MS) -> ColumnElement[str]:
    """Return the state that people see, over `nodes` joined with `now`."""
    heard = func.coalesce(now.c.heard_ms, now.c.said_ms, 0)
    return case(
        (nodes.c.revoked_ms.is_not(None), literal("revoked")),
        (now.c.node.is_(None), literal("never_seen")),
        (or_(now.c.said == "offline", heard < now_ms - stale_ms), literal("offline")),
        (now.c.step.in_(UNDER_WAY), literal("updating")),
        (now.c.health == "degraded", literal("degraded")),
        else_=literal("online"),
    )


def _states(text: str) -> list[str]:
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    for word in wanted:
        if word not in STATES:
            raise InputError(f"{word[:40]!r} is no state of a device.", hint=f"One of {', '.join(STATES)}.")
    return wanted
