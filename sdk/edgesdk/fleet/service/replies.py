"""Devices' answers to commands, written so that one that no database takes costs none of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from edgesdk.fleet.store import command_log
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.failures import told_apart
from edgesdk.fleet.store.plain_text import plain_json, plain_text
from edgesdk_targets.messages import Reply

_LONGEST = 4000
_log = logging.getLogger("edgesdk.fleet.service")


def write_replies(engine: Engine, replies: Sequence[Reply]) -> list[tuple[str, str]]:
    """Write answers in one transaction; return device and command of those that belong to a command of that device.

    Raises:
        StoreBusy: nothing is written; try again.
        StoreFailed: nothing is written, and never will be.
    """
    written = []
    with told_apart("the store"), writing(engine) as connection:
        for reply in replies:
            try:
                with connection.begin_nested():
                    node = command_log.add_reply(connection, reply.id, _told(reply))
            except DBAPIError as error:
                if isinstance(error, (OperationalError, InterfaceError)) or error.connection_invalidated:
                    raise
                _log.error("the answer of %s to command %s cannot be kept: %s", reply.node, reply.id, type(error.orig))
                continue
            if node:
                written.append((node, reply.id))
    return written


def _told(reply: Reply) -> dict[str, Any]:
    return {
        "node": reply.node,
        "at_ms": int(reply.at.timestamp() * 1000),
        "received_ms": int(datetime.now(timezone.utc).timestamp() * 1000),
        "step": reply.step,
        "ok": reply.ok,
        "code": plain_text(reply.code, _LONGEST),
        "message": plain_text(reply.message, _LONGEST),
        "data": plain_json(dict(reply.data)),
    }
