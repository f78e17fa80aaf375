"""One JSON object a line, as log collectors read it: time in UTC, level, message, and which camera and frame."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

_CAPTURE_THREAD = "edgesdk-capture-"
# Fields that a caller may add with `extra`.
_EXTRA = ("camera", "seq", "event", "hook")


class JsonLines(logging.Formatter):
    """Write a record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, timezone.utc)
        fields: dict[str, object] = {
            "at": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.threadName and record.threadName.startswith(_CAPTURE_THREAD):
            fields["camera"] = record.threadName[len(_CAPTURE_THREAD) :]
        fields.update((name, getattr(record, name)) for name in _EXTRA if hasattr(record, name))
        if record.exc_text or record.exc_info:
            fields["traceback"] = record.exc_text or self.formatException(record.exc_info or (None, None, None))
        return json.dumps(fields, ensure_ascii=False, default=str)
