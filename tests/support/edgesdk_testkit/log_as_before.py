"""Leave the log of the process that runs the tests as it was: its handlers, its level, and who hears of errors nobody catches."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgesdk_agent.logs import start


@contextmanager
def log_as_before() -> Iterator[None]:
    """Begin with a log that was not started, and put everything back at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "_started", None)
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(threading, "excepthook", threading.excepthook)
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
