"""Begin to log, once a process: where to, in which form, and through the one redaction."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from edgesdk_agent.logs.json_lines import JsonLines
from edgesdk_agent.logs.redaction import Redaction, RedactionFilter
from edgesdk_agent.logs.troubles import Troubles

if TYPE_CHECKING:
    _Handler = logging.StreamHandler[TextIO]
else:
    _Handler = logging.StreamHandler

LogFormat = Literal["text", "json"]
_TEXT = "%(asctime)s %(levelname)-7s %(message)s"
_DATED = "%(asctime)s %(levelname)-7s %(threadName)s %(message)s"


class _Shown(_Handler):
    """What this module put up, told apart from an application's own handlers."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The log of this process.

    Attributes:
        redaction: hides secrets; add those that become known.
        troubles: the last warnings and errors.
    """

    redaction: Redaction
    troubles: Troubles


_started: Logs | None = None


def start_logs(level: int = logging.INFO, form: LogFormat = "text") -> Logs:
    """Log to stderr from now on, and return the log; a second call changes level and form."""
    global _started  # noqa: PLW0603  (a process has one log, as `logging` has)
    logs = _started or Logs(Redaction(), Troubles())
    shown = _Shown(sys.stderr)
    shown.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT, "%H:%M:%S"))
    logs.troubles.setFormatter(logging.Formatter(_DATED))
    hide = RedactionFilter(logs.redaction)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, (_Shown, Troubles)):
            root.removeHandler(old)
    for handler in (shown, logs.troubles):
        handler.filters[:] = [hide]
        root.addHandler(handler)
    root.setLevel(level)
    _started = logs
    return logs


def current_logs() -> Logs:
    """Return the log of this process; where an application has set up its own, nothing is remembered of it."""
    return _started or Logs(Redaction(), Troubles())


def set_level(level: int) -> None:
    """Log from this level on."""
    logging.getLogger().setLevel(level)
