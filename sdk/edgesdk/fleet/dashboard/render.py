"""Turns a template and what it shows into a page. Everything that comes from outside is escaped, by default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from edgesdk.fleet.dashboard import words
from edgesdk.fleet.dashboard.sparkline import sparkline
from edgesdk.fleet.dashboard.static_files import address_of, has_packages
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.collector_process import unrecorded
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import Refused
from edgesdk.fleet.service.security.role import Role


def render(
    request: Request,
    template: str,
    who: Principal | None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **shown: Any,
) -> HTMLResponse:
    """Return a page, or the part of one that htmx asked for."""
    parts = getattr(request.app.state, "parts", None)
    page = _environment().get_template(template).render(
        who=who, may=lambda role: who is not None and Role(who.role).covers(Role(role)), path=request.url.path,
        now=now_ms(), unrecorded=unrecorded(parts.collecting) if parts is not None else "", **shown,
    )  # fmt: skip
    return HTMLResponse(page, status, dict(headers or {}))


def render_error(request: Request, refused: Refused, headers: Mapping[str, str]) -> HTMLResponse:
    """Return the page that says what went wrong; to htmx, only the words."""
    who = getattr(request.state, "principal", None)
    template = "parts/problem.html" if request.headers.get("hx-request") else "error.html"
    return render(request, template, who, status=refused.status, headers=headers, refused=refused)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": words.ago, "figure": words.figure, "bytes": words.size, "iso": words.iso, "clock": words.clock,
        "duration": words.duration, "plain": words.plain,
    }  # fmt: skip
    made.globals |= {
        "static": address_of,
        "has_packages": has_packages,
        "sparkline": sparkline,
        "state_words": words.STATES,
        "alert_says": words.alert_says,
    }
    return made
