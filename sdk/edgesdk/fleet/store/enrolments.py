"""Tokens, certificates and the devices that they are for, in the store.

A token is used in the same transaction that writes its certificate: of two devices with one token, one gets it. The same
key may ask again with a token that it has used, as an answer can be lost on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from edgesdk.fleet.store.tables import certificates, enrolments, node_tags, nodes
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class NewEnrolment:
    """A token to be kept; times in milliseconds since 1970. `node` is `{tenant}.{device}`."""

    token_hash: str
    prefix: str
    node: str
    site: str
    target: str
    template: str
    tags: tuple[str, ...]
    configuration: dict[str, Any]
    actor: str
    created_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A token as it is kept."""

    id: int
    prefix: str
    node: str
    site: str
    target: str
    template: str
    tags: tuple[str, ...]
    configuration: dict[str, Any]
    actor: str
    uses_left: int
    created_ms: int
    expires_ms: int
    used_ms: int | None
    revoked_ms: int | None

    def state(self, now_ms: int) -> str:
        """Return `waiting`, `used`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        if self.uses_left < 1:
            return "used"
        return "expired" if now_ms >= self.expires_ms else "waiting"


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate that was given to a device."""

    serial: str
    node: str
    fingerprint: str
    pem: str
    issued_ms: int
    not_before_ms: int
    not_after_ms: int
    revoked_ms: int | None
    reason: str


def add_enrolments(connection: Connection, made: Sequence[NewEnrolment], *, again: bool = False) -> None:
    """Keep tokens; those for the same devices that were not used are no longer good.

    Args:
        again: the devices may have an identity already: what is new is one for a device that was set up anew.

    Raises:
        InputError: a device has an identity already; nothing is kept.
    """
    names = [one.node for one in made]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice:
        raise InputError(f"{twice} is given twice.", hint="Give each device a name of its own.")
    taken = _with_identity(connection, names)
    if taken and not again:
        shown = ", ".join(taken[:5]) + (f" and {len(taken) - 5} more" if len(taken) > 5 else "")
        raise InputError(
            f"The name is taken: {shown}.", hint="Choose another name, or say --again for a device set up anew."
        )
    for part in _parts(names):
        open_ones = and_(enrolments.c.node.in_(part), enrolments.c.uses_left > 0, enrolments.c.revoked_ms.is_(None))
        connection.execute(update(enrolments).where(open_ones).values(revoked_ms=made[0].created_ms))
    rows = [
        {
            "token_hash": one.token_hash, "prefix": one.prefix, "tenant": one.node.partition(".")[0], "node": one.node,
            "site": one.site, "target": one.target, "template": one.template, "tags": list(one.tags),
            "configuration": one.configuration, "uses_left": 1, "actor": one.actor,
            "created_ms": one.created_ms, "expires_ms": one.expires_ms,
        }
        for one in made
    ]  # fmt: skip
    connection.execute(insert(enrolments), rows)


def find_enrolment(connection: Connection, token_hash: str) -> Enrolment | None:
    """Return the token of a hash."""
    row = connection.execute(select(enrolments).where(enrolments.c.token_hash == token_hash)).one_or_none()
    return None if row is None else _enrolment(row)


def newest_configurations(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return what each device's enrolment gave: the one claimed last, of a device still to come the one ordered last."""
    query = (
        select(enrolments.c.node, enrolments.c.configuration)
        .where(enrolments.c.revoked_ms.is_(None))
        .order_by(enrolments.c.used_ms.is_not(None), enrolments.c.used_ms, enrolments.c.id)
    )
    return {node: configuration or {} for node, configuration in connection.execute(query)}


def list_enrolments(connection: Connection, *, limit: int = 1000) -> list[Enrolment]:
    """Return tokens, the newest first."""
    rows = connection.execute(select(enrolments).order_by(enrolments.c.id.desc()).limit(limit))
    return [_enrolment(row) for row in rows]


def use_enrolment(connection: Connection, enrolment: Enrolment, now_ms: int) -> bool:
    """Take the one use of a token; False where somebody was faster, or it is no longer good."""
    good = and_(
        enrolments.c.id == enrolment.id,
        enrolments.c.uses_left > 0,
        enrolments.c.revoked_ms.is_(None),
        enrolments.c.expires_ms > now_ms,
    )
    done = connection.execute(
        update(enrolments).where(good).values(uses_left=enrolments.c.uses_left - 1, used_ms=now_ms)
    )
    return done.rowcount == 1


def keep_given(connection: Connection, enrolment: int, configuration: dict[str, Any]) -> None:
    """Write down what a device's file holds from its claim on."""
    connection.execute(update(enrolments).where(enrolments.c.id == enrolment).values(given=configuration))


def revoke_enrolments(connection: Connection, node: str, now_ms: int) -> int:
    """Take back a device's tokens that were not used; return how many."""
    open_ones = and_(enrolments.c.node == node, enrolments.c.uses_left > 0, enrolments.c.revoked_ms.is_(None))
    return connection.execute(update(enrolments).where(open_ones).values(revoked_ms=now_ms)).rowcount


def enrolled_node(connection: Connection, enrolment: Enrolment, now_ms: int) -> int:
    """Write down that a device has its identity, and return its row."""
    known = {"site": enrolment.site, "template": enrolment.template, "enrolled_ms": now_ms, "revoked_ms": None}
    if enrolment.target:
        known["target"] = enrolment.target
    node = connection.execute(select(nodes.c.id).where(nodes.c.name == enrolment.node)).scalar_one_or_none()
    if node is None:
        added = insert(nodes).values(name=enrolment.node, created_ms=now_ms, **known)
        node = connection.execute(added.returning(nodes.c.id)).scalar_one()
    else:
        connection.execute(update(nodes).where(nodes.c.id == node).values(**known))
    have = set(connection.execute(select(node_tags.c.tag).where(node_tags.c.node == node)).scalars())
    new = [{"node": node, "tag": tag} for tag in dict.fromkeys(enrolment.tags) if tag not in have]
    if new:
        connection.execute(insert(node_tags), new)
    return int(node)


def add_certificate(connection: Connection, node: int, enrolment: int | None, found: StoredCertificate) -> None:
    """Keep a certificate that was given out."""
    connection.execute(
        insert(certificates).values(
            serial=found.serial, node=node, enrolment=enrolment, fingerprint=found.fingerprint, pem=found.pem,
            issued_ms=found.issued_ms, not_before_ms=found.not_before_ms, not_after_ms=found.not_after_ms,
        )
    )  # fmt: skip


def certificate_of_enrolment(connection: Connection, enrolment: int) -> StoredCertificate | None:
    """Return the certificate that a token was used for."""
    return _one_certificate(connection, certificates.c.enrolment == enrolment)


def find_certificate(connection: Connection, serial: str) -> StoredCertificate | None:
    """Return a certificate by its serial number in hexadecimal digits."""
    return _one_certificate(connection, certificates.c.serial == serial)


def list_certificates(connection: Connection, node: str = "") -> list[StoredCertificate]:
    """Return certificates of one device, or of all, the newest first."""
    query = _certificates().order_by(certificates.c.issued_ms.desc(), certificates.c.serial)
    return [_certificate(row) for row in connection.execute(query.where(nodes.c.name == node) if node else query)]


def revoke_node(connection: Connection, node: str, reason: str, now_ms: int) -> list[str]:
    """Take back a device's identity: its certificates, its tokens; return the serial numbers.

    Raises:
        InputError: there is no such device.
    """
    row = connection.execute(select(nodes.c.id).where(nodes.c.name == node)).scalar_one_or_none()
    if row is None and not revoke_enrolments(connection, node, now_ms):
        raise InputError(
            f"There is no device {node[:140]}.", hint="edgesdk fleet enrolments lists those that were enrolled."
        )
    if row is None:
        return []
    revoke_enrolments(connection, node, now_ms)
    good = and_(certificates.c.node == row, certificates.c.revoked_ms.is_(None))
    serials = list(connection.execute(select(certificates.c.serial).where(good)).scalars())
    connection.execute(update(certificates).where(good).values(revoked_ms=now_ms, reason=reason[:1000]))
    connection.execute(update(nodes).where(nodes.c.id == row).values(revoked_ms=now_ms))
    return serials


def revoked_certificates(connection: Connection, now_ms: int) -> list[tuple[str, int]]:
    """Return serial number and time of each revoked certificate that has not run out by itself."""
    query = select(certificates.c.serial, certificates.c.revoked_ms).where(
        certificates.c.revoked_ms.is_not(None), certificates.c.not_after_ms > now_ms
    )
    return [(str(serial), int(revoked)) for serial, revoked in connection.execute(query)]


def node_row(connection: Connection, name: str) -> tuple[int, int | None] | None:
    """Return the row of a device and when it was revoked, or None where there is none."""
    row = connection.execute(select(nodes.c.id, nodes.c.revoked_ms).where(nodes.c.name == name)).one_or_none()
    return None if row is None else (int(row[0]), row[1])


def _with_identity(connection: Connection, names: Sequence[str]) -> list[str]:
    """Return those that somebody is already: enrolled, or seen without ever having been."""
    taken: list[str] = []
    for part in _parts(names):
        seen = or_(nodes.c.enrolled_ms.is_not(None), nodes.c.first_seen_ms.is_not(None))
        query = select(nodes.c.name).where(nodes.c.name.in_(part), seen, nodes.c.revoked_ms.is_(None))
        taken += connection.execute(query).scalars()
    return sorted(taken)


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    """Split a list, as databases take only so many values in one statement."""
    return [names[at : at + 500] for at in range(0, len(names), 500)]


def _certificates() -> Any:
    return select(certificates, nodes.c.name.label("node_name")).join(nodes, nodes.c.id == certificates.c.node)


def _one_certificate(connection: Connection, which: Any) -> StoredCertificate | None:
    row = connection.execute(_certificates().where(which)).first()
    return None if row is None else _certificate(row)


def _certificate(row: Row[Any]) -> StoredCertificate:
    return StoredCertificate(
        serial=row.serial, node=row.node_name, fingerprint=row.fingerprint, pem=row.pem, issued_ms=row.issued_ms,
        not_before_ms=row.not_before_ms, not_after_ms=row.not_after_ms, revoked_ms=row.revoked_ms, reason=row.reason,
    )  # fmt: skip


def _enrolment(row: Row[Any]) -> Enrolment:
    return Enrolment(
        id=row.id, prefix=row.prefix, node=row.node, site=row.site, target=row.target, template=row.template,
        tags=tuple(row.tags or ()), configuration=row.configuration or {}, actor=row.actor, uses_left=row.uses_left,
        created_ms=row.created_ms, expires_ms=row.expires_ms, used_ms=row.used_ms, revoked_ms=row.revoked_ms,
    )  # fmt: skip
