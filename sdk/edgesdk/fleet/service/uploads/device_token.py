"""The tokens by which a device sends its clips, and fetches its bundles: good for that device and purpose, and for nothing else.

It is made of the device's name and a key that the store keeps, so nothing is written for each: the fleet has as many as it
has devices. Revoking a device makes its token worthless, as everything else of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Literal

from sqlalchemy import Connection, insert, select

from edgesdk.fleet.store.tables import nodes, settings
from edgesdk_targets.errors import InputError

Purpose = Literal["clips", "bundles"]
_KEY = "clip_key"


def token_for(connection: Connection, node: str, purpose: Purpose = "clips") -> str:
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
    return f"{_prefix(purpose)}{node}.{_signature(key, node, purpose)}"


def holder_of(connection: Connection, token: str, purpose: Purpose = "clips") -> tuple[int, str] | None:
    """Return row and name of the device that a token is of, or None where it is none, or of a revoked one."""
    node, _, given = token.removeprefix(_prefix(purpose)).rpartition(".")
    key = _key(connection)
    if not key or not token.startswith(_prefix(purpose)):
        return None
    if not hmac.compare_digest(_signature(key, node, purpose).encode(), given.encode("utf-8", "replace")):
        return None
    row = _row_of(connection, node)
    return None if row is None else (row, node)


def _prefix(purpose: Purpose) -> str:
    return f"edgesdk-{purpose}."


def _signature(key: str, node: str, purpose: Purpose) -> str:
    return hmac.new(
        key.encode(), f"{purpose} of ".encode() + node.encode("utf-8", "replace"), hashlib.sha256
    ).hexdigest()


def _key(connection: Connection) -> str:
    return connection.execute(select(settings.c.value).where(settings.c.key == _KEY)).scalar_one_or_none() or ""


def _row_of(connection: Connection, node: str) -> int | None:
    found = select(nodes.c.id).where(nodes.c.name == node, nodes.c.revoked_ms.is_(None))
    return connection.execute(found).scalar_one_or_none()
