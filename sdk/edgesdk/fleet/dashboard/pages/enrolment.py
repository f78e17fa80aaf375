"""Devices to be: for admins, the line to paste on one, or the lines of a whole table of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from edgesdk.fleet.dashboard.render import render
from edgesdk.fleet.service.api.asked import Admin
from edgesdk.fleet.service.parts import Joining, note, parts_of
from edgesdk.fleet.service.security.form import read_form
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import BadRequest, Refused
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.enrolments import list_enrolments
from edgesdk.fleet.store.templates import list_templates
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.fleet.enrol.orders import Order

router = APIRouter()
_SHOWN = 100
_FIELDS = ("name", "site", "target", "template", "camera", "bundle")
_TTL = {"1h": "an hour", "24h": "a day", "7d": "a week"}
_FILE = "devices.csv"


@router.get("/enrolment")
def enrolment_page(request: Request, who: Admin) -> Response:
    """Show the forms, and the tokens that were given."""
    return _page(request, who, {})


@router.post("/enrolment")
async def order_devices(request: Request, who: Admin) -> Response:
    """Make the lines; they are shown once."""
    form = await read_form(request)
    try:
        lines = await run_in_threadpool(_ordered, request, who, form)
    except (Refused, InputError) as wrong:
        refused = wrong if isinstance(wrong, Refused) else BadRequest(wrong.message, hint=wrong.hint)
        return await run_in_threadpool(partial(_page, request, who, form, refused=refused))
    return await run_in_threadpool(partial(_page, request, who, {}, lines=lines))


def _ordered(request: Request, who: Principal, form: Mapping[str, str]) -> list[tuple[str, str]]:
    """Keep what is ordered and return each device with its line.

    Raises:
        InputError: an address, a name or a line of the table cannot be used.
        BadRequest: this service lets no device enrol.
    """
    from edgesdk.fleet.enrol.install_line import Service, install_line
    from edgesdk.fleet.enrol.orders import make_enrolments, order
    from edgesdk.fleet.enrol.tokens import read_ttl

    parts = parts_of(request)
    joining = parts.joining
    if joining is None:
        raise BadRequest("No device can enrol at this service.", hint="edgesdk fleet serve --authority …")
    service = Service(form.get("server", "").strip().rstrip("/"), joining.pin, joining.ca_sha256)
    table = form.get("csv", "").strip()
    if table:
        orders = _of_table(table)
    else:
        given = {field: form.get(field, "").strip() for field in _FIELDS}
        orders = [order(**given, tags=form.get("tags", "").split())]
    ttl_s = read_ttl(form.get("ttl", "24h")).total_seconds()
    made = make_enrolments(parts.engine, orders, actor=who.asker, ttl_s=ttl_s, again="again" in form)
    subject = made[0].order.node if len(made) == 1 else f"{len(made)} devices"
    note(request, who, "enrolment.order", subject, ttl_s=ttl_s)
    return [
        (
            one.order.node,
            install_line(service, one.token, options=("--target", one.order.target) if one.order.target else ()),
        )
        for one in made
    ]


def _of_table(text: str) -> list[Order]:
    """Read a table as the command line reads its file; what is wrong is told by the line, not by where it lay here."""
    from edgesdk.fleet.enrol.orders import orders_from_csv

    with tempfile.TemporaryDirectory(prefix="edgesdk-orders-") as folder:
        path = Path(folder) / _FILE
        path.write_text(text, "utf-8")
        try:
            return orders_from_csv(path)
        except InputError as error:
            raise InputError(error.message.replace(str(path), "The table"), hint=error.hint) from error


def _page(
    request: Request, who: Principal, filled: Mapping[str, str], *, lines: Sequence[tuple[str, str]] = (),
    refused: Refused | None = None,
) -> Response:  # fmt: skip
    parts = parts_of(request)
    joining: Joining | None = parts.joining
    with reading(parts.engine) as connection:
        given = list_enrolments(connection, limit=_SHOWN)
        templates = [one.name for one in list_templates(connection)]
    server = filled.get("server") or (joining.server if joining else "") or f"https://{request.url.netloc}"
    return render(
        request, "enrolment.html", who, status=200 if refused is None else refused.status, joining=joining,
        server=server, filled=filled, lines=lines, refused=refused, given=given, templates=templates, ttls=_TTL,
    )  # fmt: skip
