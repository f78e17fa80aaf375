"""The last warnings and errors of the log, and how many errors there were in the last minute; a bounded memory."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

_REMEMBERED = 100
_COUNTED = 1000
_LONGEST = 4000


class Troubles(logging.Handler):
    """Remember what went wrong.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._last: deque[str] = deque(maxlen=_REMEMBERED)
        self._errors: deque[float] = deque(maxlen=_COUNTED)
        self._count = {"warnings": 0, "errors": 0}

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; called under the handler's lock."""
        self._last.append(self.format(record)[:_LONGEST])
        if record.levelno >= logging.ERROR:
            self._count["errors"] += 1
            self._errors.append(self._clock())
        else:
            self._count["warnings"] += 1

    def last(self) -> list[str]:
        """Return the last lines, oldest first."""
        with self.lock or _NO_LOCK:
            return list(self._last)

    def errors_per_minute(self) -> int:
        """Return how many errors there were in the last 60 s."""
        with self.lock or _NO_LOCK:
            since = self._clock() - 60.0
            return sum(at >= since for at in self._errors)

    def counts(self) -> dict[str, int]:
        """Return how many there were since the start."""
        return dict(self._count)


class _NoLock:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


_NO_LOCK = _NoLock()
