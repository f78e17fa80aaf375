"""Readers that did not end when they were killed: a driver that hangs holds its process until it lets go.

Such a process (state D) takes SIGKILL only when its call into the kernel returns, which may be never. Nobody waits for it: it
is left, and collected when another reader is started or ends, so that no dead process stays listed for ever.
"""

from __future__ import annotations

import logging
import subprocess
import threading

log = logging.getLogger(__name__)

_lock = threading.Lock()
_left: list[subprocess.Popen[bytes]] = []


def leave(process: subprocess.Popen[bytes]) -> None:
    """Take over a process that was killed and is still there."""
    log.warning("A camera's reader (%d) was killed and does not end: its driver hangs. It is left.", process.pid)
    with _lock:
        _left.append(process)


def collect() -> int:
    """Collect those that have ended by now, without waiting; return how many are still there."""
    with _lock:
        _left[:] = [process for process in _left if process.poll() is None]
        return len(_left)
