"""Where what is said to this device becomes a command or a desired state, or is counted as neither.

Bytes come in; nothing leaves but a checked value. It runs on the link's thread, and is quick.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from edgesdk_agent.commands.deadline import seconds_left
from edgesdk_agent.commands.refusals import Kind
from edgesdk_agent.link.inbox import Inbound
from edgesdk_agent.link.presence import utc
from edgesdk_targets.errors import InputError, OtherNode
from edgesdk_targets.messages import Command, Desired, decode

log = logging.getLogger(__name__)

# A sender that says the same nonsense all day fills no log.
_TOLD = 10


class Border:
    """Read what comes for this device.

    Args:
        command: takes each command and how many seconds are left to begin it.
        desired: takes each desired state.
        refused: is told of each message that is not taken.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        command: Callable[[Command, float], None],
        desired: Callable[[Desired], None],
        refused: Callable[[Kind, str], None],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._command = command
        self._desired = desired
        self._refused = refused
        self._wall = wall
        self._counts: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """Return how many commands and desired states were read, and how many messages were neither."""
        return dict(self._counts)

    def take(self, message: Inbound) -> None:
        """Read one message; what cannot be read is counted, and told a few times."""
        if not message.payload:
            # A retained message is taken back so.
            self._counts["empty"] += 1
            return
        try:
            said = decode(message.topic, message.payload, message.content_type)
        except InputError as error:
            self._malformed(error, "other_node" if isinstance(error, OtherNode) else "malformed")
            return
        if isinstance(said, Command):
            self._take_command(said, message)
        elif isinstance(said, Desired):
            self._counts["desired"] += 1
            self._desired(said)
        else:
            self._malformed(InputError(f"{message.topic} is nothing to do."), "malformed")

    def _take_command(self, said: Command, message: Inbound) -> None:
        if message.retained:
            # It would be done again at each start, long after it was meant.
            self._malformed(InputError(f"{message.topic}: a command must not be retained."), "retained")
            return
        self._counts["commands"] += 1
        left = seconds_left(now=utc(self._wall()), said_at=said.at, deadline=said.deadline, expires_s=message.expires_s)
        self._command(said, left)

    def _malformed(self, error: InputError, kind: Kind) -> None:
        self._counts["malformed"] += 1
        self._refused(kind, error.message)
        if self._counts["malformed"] <= _TOLD:
            log.warning("A message to this device is refused: %s", error.message[:500])
