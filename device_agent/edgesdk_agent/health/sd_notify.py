"""Tell the service manager how it goes: systemd's datagram protocol, which is a few words on a socket.

Without `NOTIFY_SOCKET` in the environment nothing is said. The watchdog's word is said only by whoever knows that the
pipeline advances; see `edgesdk_agent.health.monitor`.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

# How long a start may take: the first one tunes, and may build an engine.
START_WITHIN_S = 1800


class ServiceManager:
    """The one who started this process, if it wants to hear.

    Args:
        environment: `os.environ` unless given.

    Attributes:
        watchdog_s: within which `alive` must be said again and again, or None where nobody waits for it.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            # An abstract socket: its name begins with a zero byte.
            self._address = "\0" + self._address[1:]
        self.watchdog_s = _watchdog_s(environment) if self._address else None

    @property
    def listens(self) -> bool:
        """Whether anybody wants to hear."""
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """Say that the start is over; return whether it was heard."""
        return self._say("READY=1", status)

    def alive(self, status: str = "") -> bool:
        """Say that work advances."""
        return self._say("WATCHDOG=1", status)

    def status(self, status: str) -> bool:
        """Say in a line how it goes."""
        return self._say("", status)

    def stopping(self, status: str = "") -> bool:
        """Say that the end has begun."""
        return self._say("STOPPING=1", status)

    def restarting(self, status: str = "", *, within_s: float = START_WITHIN_S) -> bool:
        """Say that the same process begins anew, and that until `ready` nobody will say `alive`.

        Never `STOPPING=1`: the manager would kill the new run when its patience with a stop is over.
        """
        began = f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nWATCHDOG=1"
        # Two datagrams: within one, systemd winds the watchdog up after it has extended it.
        return self._say(began, status) and self._say(f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}", "")

    def _say(self, word: str, status: str) -> bool:
        if not self._address:
            return False
        # A line break would begin another assignment.
        lines = [word] if word else []
        if status:
            lines.append("STATUS=" + " ".join(status.split())[:1000])
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)  # a manager that does not read must not hold the agent up
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.debug("The service manager does not hear: %s", error)
            return False
        return True


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return the manager's patience; it may be meant for another process of the unit."""
    try:
        micros, pid = int(environment["WATCHDOG_USEC"]), int(environment.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return micros / 1e6 if micros > 0 and pid == os.getpid() else None
