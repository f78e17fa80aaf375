"""The token by which a device sends its clips: good for that device's own, and for nothing else.

It is made of the device's name and a key that the store keeps, so nothing is written for each: the fleet has as many as it
has devices. Revoking a device makes its token worthless, as everything else of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from sqlalchemy import Connection, insert, select

from edgesdk.fleet.store.tables import nodes, settings
from edgesdk_targets.errors import InputError

_PREFIX = "edgesdk-clips."
_KEY = "clip_key"


def token_for(connection: Connection, node: str) -> str:
    """Return the token of a device; makes the fleet's key where there is none yet.

    Raises:
        InputError: there is no such device, or it was revoked.
    """
    if _row_of(connection, node) is None:
        raise InputError(f"There is no device {node[:140]}.", hint="Enrol it first: edgesdk fleet enrol NAME")
    key = _key(connection)
    if not key:
        key = secrets.token_hex(32)
        connection.execute(insert(settings).values(key=_KEY, value=key, updated_ms=int(time.time() * 1000)))
    return f"{_PREFIX}{node}.{_signature(key, node)}"


def holder_of(connection: Connection, token: str) -> tuple[int, str] | None:
    """Return row and name of the device that a token is of, or None where it is none, or of a revoked one."""
    node, _, given = token.removeprefix(_PREFIX).rpartition(".")
    key = _key(connection)
    if not key or not token.startswith(_PREFIX):
        return None
    if not hmac.compare_digest(_signature(key, node).encode(), given.encode("utf-8", "replace")):
        return None
    row = _row_of(connection, node)
    return None if row is None else (row, node)


def _signature(key: str, node: str) -> str:
    return hmac.new(key.encode(), b"clips of " + node.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _key(connection: Connection) -> str:
    return connection.execute(select(settings.c.value).where(settings.c.key == _KEY)).scalar_one_or_none() or ""


def _row_of(connection: Connection, node: str) -> int | None:
    found = select(nodes.c.id).where(nodes.c.name == node, nodes.c.revoked_ms.is_(None))
    return connection.execute(found).scalar_one_or_none()
