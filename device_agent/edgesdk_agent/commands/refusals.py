"""What is said to this device and is not for it, or not for now, told as events: the first at once, what follows gathered.

Whoever may write to the broker could else fill the outbox. Of each kind one event goes out in ten minutes, with the last of what
came and how many there were; more is only counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

# Kept by the broker; of another device; nothing that can be read; after its deadline; done before, and in time; and not.
Kind = Literal["retained", "other_node", "malformed", "expired", "repeated", "replayed"]
EVENT = "command_refused"
_APART_S = 600.0
_MESSAGE_CHARACTERS = 500


@dataclass(slots=True)
class _Gathered:
    """What came of a kind and was not told yet.

    Attributes:
        told_at: when the kind was told last; None before that.
    """

    count: int = 0
    message: str = ""
    told_at: float | None = None


class Refusals:
    """Gathers what is refused, on any thread, and tells it on one.

    Args:
        tell: reports an event: name, severity, message, data.
        clock: monotonic seconds.
    """

    def __init__(self, tell: Callable[..., None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._found = {kind: _Gathered() for kind in get_args(Kind)}

    def note(self, kind: Kind, message: str) -> None:
        """Take note of one; never waits."""
        with self._lock:
            found = self._found[kind]
            found.count += 1
            found.message = message[:_MESSAGE_CHARACTERS]

    def tell_due(self) -> None:
        """Tell what may be told now."""
        for kind, found in self._found.items():
            with self._lock:
                now = self._clock()
                waits = found.told_at is not None and now - found.told_at < _APART_S
                if waits or not found.count:
                    continue
                count, message = found.count, found.message
                found.count, found.told_at = 0, now
            more = f" ({count} of these since the last event)" if count > 1 else ""
            # Within its time that is mostly a broker's second delivery.
            severity = "info" if kind == "repeated" else "warning"
            self._tell(EVENT, severity, message + more, data={"code": kind, "count": count})
