"""The answers to commands, as messages on `up/reply/{id}`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from pydantic import JsonValue

from edgesdk_agent.link.presence import Publication, utc
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Reply, encode, topic_of
from edgesdk_targets.topics import Node

# Nobody waits longer for an answer; it can be asked for again by the same id.
_EXPIRES_S = 600


class Replies:
    """Build answers and say them.

    Args:
        node: who answers.
        epoch: of the queue of reports; next_seq: the number that its next report will get.
        say: takes each message, at once.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        node: Node,
        *,
        epoch: str,
        next_seq: Callable[[], int],
        say: Callable[[Publication], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._node = str(node)
        self._epoch = epoch
        self._next_seq = next_seq
        self._say = say
        self._wall = wall

    def __call__(
        self,
        command_id: str,
        step: Literal["accepted", "done", "refused"],
        *,
        ok: bool,
        code: str = "",
        message: str = "",
        data: dict[str, JsonValue] | None = None,
    ) -> None:
        """Say what became of a command; an answer that is too large is replaced by one that says so."""
        reply = Reply(
            node=self._node,
            at=utc(self._wall()),
            epoch=self._epoch,
            seq=self._next_seq(),
            id=command_id,
            ok=ok,
            step=step,
            code=code,
            message=message[:4096],
            data=data or {},
        )
        try:
            body = encode(reply)
        except InputError as error:
            body = encode(reply.model_copy(update={"data": {}, "message": error.message}))
        self._say(Publication(str(topic_of(reply)), body, expires_s=_EXPIRES_S))
