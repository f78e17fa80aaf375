"""The last records of the log, in memory, without secrets."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime, timezone

from pydantic import JsonValue

from edgesdk_agent.logs.redaction import RedactionFilter
from edgesdk_agent.logs.start import current_logs, set_level
from edgesdk_targets.messages import rfc3339

_KEPT = 1000
_LONGEST = 2000


class LogBook(logging.Handler):
    """Keep the last records of every logger of this process, from `open` to `close`."""

    def __init__(self, kept: int = _KEPT) -> None:
        super().__init__()
        self._records: deque[tuple[int, dict[str, JsonValue]]] = deque(maxlen=kept)

    def open(self) -> None:
        """Begin to keep records."""
        self.filters[:] = [RedactionFilter(current_logs().redaction)]
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Keep no more."""
        logging.getLogger().removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, which the filter has redacted; one that cannot be written is kept as that."""
        try:
            text = record.getMessage()[:_LONGEST]
        except Exception:  # noqa: BLE001  (a record that cannot be written must not end who writes it)
            text = "(a record that cannot be written)"
        at = rfc3339(datetime.fromtimestamp(record.created, timezone.utc))
        line: dict[str, JsonValue] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": text,
        }
        self._records.append((record.levelno, line))

    def recent(self, count: int, level: int) -> list[dict[str, JsonValue]]:
        """Return the last records of a level at least, the oldest first."""
        self.acquire()
        try:
            found = [line for number, line in self._records if number >= level]
        finally:
            self.release()
        return found[-count:]

    def set_level(self, level: int) -> None:
        """Log records of this level at least, from now on."""
        set_level(level)
