"""Tracebacks of exceptions that nobody catches go through the same redaction as the log.

What is ours prints without secrets; a library's exception may quote an address.
"""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

from edgesdk_agent.logs.start import current_logs


def redact_tracebacks() -> None:
    """Redact what is printed of exceptions from now on, of every thread."""
    sys.excepthook = _tell
    threading.excepthook = _tell_of_thread


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(current_logs().redaction(text))


def _tell_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
        _tell(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
