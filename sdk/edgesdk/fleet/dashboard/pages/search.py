"""What was: results, events, pictures, clips and commands, of any device, place and time; and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.dashboard.words import NONE
from edgesdk.fleet.result_text import result_text
from edgesdk.fleet.service.api.asked import Cursor, Short, Viewer
from edgesdk.fleet.service.parts import parts_of
from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.store import events, results
from edgesdk.fleet.store.command_log import list_commands
from edgesdk.fleet.store.devices import choices
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.gap_list import unreadable
from edgesdk.fleet.store.media import find_clips, find_snapshots
from edgesdk.fleet.store.paging import Page
from edgesdk_targets.errors import InputError

router = APIRouter()
_A_PAGE = 50
# It tells whoever sent it what the fleet does not take: for operators, as in the API.
_UNREADABLE = "unreadable"
_LOCAL = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True, slots=True)
class _Search:
    """What was written into the form, as it was written.

    Attributes:
        label: of results: what was seen; of events: a part of their words; severity: of events.
        since, until: in UTC.
        state, bulk: of commands.
    """

    node: str = ""
    site: str = ""
    camera: str = ""
    label: str = ""
    severity: str = ""
    since: str = ""
    until: str = ""
    state: str = ""
    bulk: int | None = None

    def wanted(self) -> events.Wanted:
        """Return it as the store is asked.

        Raises:
            InputError: a time is none.
        """
        return events.Wanted(
            self.node, self.site, self.camera, _ms(self.since), _ms(self.until), severity=self.severity,
            text=self.label, label=self.label,
        )  # fmt: skip


def _commands(connection: Connection, asked: _Search, cursor: str) -> Page[Any]:
    return list_commands(connection, node=asked.node, bulk=asked.bulk, state=asked.state, limit=_A_PAGE, cursor=cursor)


def _stored(
    find: Callable[..., Page[dict[str, Any]]],
) -> Callable[[Connection, _Search, str], Page[Any]]:
    return lambda connection, asked, cursor: find(connection, asked.wanted(), cursor=cursor, limit=_A_PAGE)


# What is searched → how it is found, and which fields of the form mean something for it.
_FOUND_BY: Mapping[str, tuple[Callable[[Connection, _Search, str], Page[Any]], frozenset[str]]] = {
    "results": (_stored(results.find), frozenset(("node", "site", "camera", "label", "times"))),
    "events": (_stored(events.find), frozenset(("node", "site", "camera", "text", "severity", "times"))),
    "pictures": (_stored(find_snapshots), frozenset(("node", "site", "camera", "times"))),
    "clips": (_stored(find_clips), frozenset(("node", "site", "camera", "times"))),
    "commands": (_commands, frozenset(("node", "state"))),
    _UNREADABLE: (lambda connection, _asked, cursor: unreadable(connection, cursor=cursor, limit=_A_PAGE), frozenset()),
}


@router.get("/search")
def search_page(
    request: Request, who: Viewer, what: Short = "results", node: Short = "", site: Short = "", camera: Short = "",
    label: Short = "", severity: Short = "", since: Short = "", until: Short = "", state: Short = "",
    bulk: Annotated[str, Query(max_length=16, pattern="^[0-9]*$")] = "", cursor: Cursor = "",
) -> Response:  # fmt: skip
    """Show the form and a page of what was found."""
    whats = tuple(one for one in _FOUND_BY if one != _UNREADABLE or Role(who.role).covers(Role.OPERATOR))
    what = what if what in whats else "results"
    asked = _Search(node, site, camera, label.strip(), severity, since, until, state, int(bulk) if bulk else None)
    find, fields = _FOUND_BY[what]
    problem = ""
    with reading(parts_of(request).engine) as connection:
        sites = choices(connection)["sites"]
        try:
            page = find(connection, asked, cursor)
        except InputError as error:
            problem, page = f"{error.message} {error.hint}".strip(), Page([], "")
    given = {"what": what, "node": node, "site": site, "camera": camera, "label": label, "severity": severity,
             "since": since, "until": until, "state": state, "bulk": bulk}  # fmt: skip
    return render(
        request, "search.html", who, status=400 if problem else 200, what=what, whats=whats, asked=given,
        fields=fields, page=page, sites=sites, problem=problem, says=_says,
        query=urlencode({name: value for name, value in given.items() if value}),
        kept=urlencode({name: value for name, value in given.items() if value and name in ("node", "site", "camera")}),
    )  # fmt: skip


def _says(message: Any) -> str:
    """Return a result as one line; whatever a device sent, it is one."""
    answer = message.get("result") if isinstance(message, dict) else None
    return result_text(answer) if isinstance(answer, dict) else NONE


def _ms(text: str) -> int | None:
    if not text.strip():
        return None
    try:
        at = datetime.strptime(text.strip(), _LOCAL).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no time.", hint="Such as 2026-01-31T18:00, in UTC.") from error
    return max(0, int(at.timestamp() * 1000))
