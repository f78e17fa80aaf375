"""What an operator orders: devices to be, one or a whole table of them, each with a token of its own."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from edgesdk.fleet.enrol.templates import check_template, render
from edgesdk.fleet.enrol.tokens import SHOWN, new_token, token_hash
from edgesdk.fleet.store import enrolments, templates
from edgesdk.fleet.store.engine import writing
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import DEFAULT_TENANT, Node

MAX_ORDERS = 10_000
_MAX_CSV_BYTES = 8 << 20
_COLUMNS = ("name", "tenant", "site", "target", "template", "tags", "camera", "bundle")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
_SITE = re.compile(r"[^\x00-\x1f\x7f]{0,128}")


@dataclass(frozen=True, slots=True)
class Order:
    """A device to be.

    Attributes:
        node: `{tenant}.{device}`.
        template: whose configuration it gets; empty for none.
        configuration: laid over the template's for this device.
    """

    node: str
    site: str = ""
    target: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Node.parse(self.node)
        wrong = next((tag for tag in self.tags if not _TAG.fullmatch(tag)), None)
        if wrong is not None:
            raise InputError(
                f"{wrong[:80]!r} is no tag.", hint="Letters, digits and . _ : / -, such as door or floor:2."
            )
        if not _SITE.fullmatch(self.site):
            raise InputError(f"{self.site[:80]!r} is no site's name.", hint="At most 128 printable characters.")
        check_template(self.configuration)


@dataclass(frozen=True, slots=True)
class Made:
    """An order with its token, which is known to nobody else from here on."""

    order: Order
    token: str
    expires_ms: int


def order(
    name: str,
    *,
    tenant: str = DEFAULT_TENANT,
    site: str = "",
    target: str = "",
    template: str = "",
    tags: Sequence[str] = (),
    camera: str = "",
    bundle: str = "",
) -> Order:
    """Return an order in an operator's words.

    Args:
        camera: the address of the device's only camera.
        bundle: the name of its bundle on the fleet's shelf.

    Raises:
        InputError: a name, a tag or an address cannot be used.
    """
    given: dict[str, Any] = {}
    if bundle:
        given["bundle"] = bundle
    if camera:
        given["cameras"] = [{"name": "camera", "source": camera}]
    node = Node(device=name, tenant=tenant)
    return Order(str(node), site, target, template, tuple(dict.fromkeys(tags)), given)


def orders_from_csv(path: Path) -> list[Order]:
    """Read a table of devices: `name`, and as wanted `tenant,site,target,template,tags,camera,bundle`; tags by blanks.

    Raises:
        InputError: the file, a column or a line cannot be used; the line is named.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint="Correct the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8.", hint="Save it as CSV, UTF-8.") from error
    if len(raw) > _MAX_CSV_BYTES:
        raise InputError(f"{path} is too large.", hint=f"At most {MAX_ORDERS} devices.")
    first = text.partition("\n")[0]
    # Spreadsheets of half of Europe write semicolons.
    reader = csv.DictReader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
    columns = [(column or "").strip().lower() for column in reader.fieldnames or ()]
    unknown = [column for column in columns if column not in _COLUMNS]
    if "name" not in columns or unknown:
        said = f"has a column {unknown[0]!r} that is not known" if unknown else "has no column `name`"
        raise InputError(f"{path} {said}.", hint=f"Columns are {', '.join(_COLUMNS)}.")
    reader.fieldnames = columns
    found: list[Order] = []
    for row in reader:
        line = reader.line_num
        if None in row or len(found) >= MAX_ORDERS:
            why = "has more cells than columns" if None in row else f"is beyond {MAX_ORDERS} devices"
            raise InputError(f"{path}:{line} {why}.", hint="Correct the line.")
        cells = {name: (value or "").strip() for name, value in row.items()}
        if not any(cells.values()):
            continue
        tags = cells.pop("tags", "").split()
        tenant = cells.pop("tenant", "") or DEFAULT_TENANT
        try:
            found.append(order(**cells, tenant=tenant, tags=tags))
        except InputError as error:
            raise InputError(f"{path}:{line}: {error.message}", hint=error.hint) from error
    if not found:
        raise InputError(f"{path} names no device.", hint="One line for each, below the names of the columns.")
    return found


def make_enrolments(
    engine: Engine, orders: Sequence[Order], *, actor: str, ttl_s: float, again: bool = False, now: float | None = None
) -> list[Made]:
    """Make a token for each order and keep all of them, or none.

    Raises:
        InputError: a device's name is taken, or a template is not there or leaves the device without camera or bundle.
    """
    created_ms = int((time.time() if now is None else now) * 1000)
    expires_ms = created_ms + int(ttl_s * 1000)
    made = [Made(one, new_token(), expires_ms) for one in orders]
    rows = [
        enrolments.NewEnrolment(
            token_hash=token_hash(one.token), prefix=one.token[:SHOWN], node=one.order.node, site=one.order.site,
            target=one.order.target, template=one.order.template, tags=one.order.tags,
            configuration=one.order.configuration, actor=actor, created_ms=created_ms, expires_ms=expires_ms,
        )
        for one in made
    ]  # fmt: skip
    with writing(engine) as connection:
        for one in orders:
            wanted = one.configuration
            if one.template:
                body = templates.get_template(connection, one.template).body
                over = templates.overrides_of(connection, one.template, one.site, one.node)
                wanted = render(body, [*over, one.configuration])
            # Found now, by the operator, and not on a ladder in front of the device.
            missing = [name for name in ("bundle", "cameras") if not wanted.get(name)]
            if missing:
                raise InputError(
                    f"{one.node} would have no {' and no '.join(missing)}.",
                    hint="Give --template, or --camera and --bundle.",
                )
        enrolments.add_enrolments(connection, rows, again=again)
    return made
