"""No secret leaves by the log, whoever writes it: one filter, on the way to every handler.

Addresses lose their passwords, words that look like `password=…` lose their value, and values that the configuration
calls secret are hidden wherever they stand.
"""

from __future__ import annotations

import logging
import re
import threading

from edgesdk_targets.secret_url import HIDDEN, redact_text

# Shorter ones would hide parts of ordinary words.
_SHORTEST_SECRET = 4
_ASSIGNED = re.compile(
    r"(?i)\b(pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization)(\"?\s*[=:]\s*\"?)(?!\s)([^\s\"',;&]+)"
)
_BEARER = re.compile(r"(?i)\b(basic|bearer)\s+[A-Za-z0-9+/=._-]{6,}")


class Redaction:
    """Hide secrets in texts.

    `known` values are added as they become known, from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[str, ...] = ()

    def add(self, *secrets: str) -> None:
        """Hide these values from now on."""
        with self._lock:
            found = {*self._known, *(one for one in secrets if len(one) >= _SHORTEST_SECRET)}
            # The longest first: one may be part of another.
            self._known = tuple(sorted(found, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        text = _BEARER.sub(rf"\1 {HIDDEN}", redact_text(text))
        return _ASSIGNED.sub(rf"\1\2{HIDDEN}", text)


class RedactionFilter(logging.Filter):
    """Redact each record, its message and its traceback, before a handler sees it."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, redacted."""
        try:
            record.msg = self._redaction(record.getMessage())
        except Exception:  # noqa: BLE001  (a log line that cannot be written must not end who writes it)
            record.msg = self._redaction(str(record.msg))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redaction(record.exc_text)
        # The text is all that is left of it, or a formatter would print it anew.
        record.exc_info = None
        return True
