"""Runs the collector as a child that never outlives the service: it stops, in order, when its standard input closes.

`python -m edgesdk.cli.collector_child ARGUMENTS…` is `edgesdk fleet record ARGUMENTS…`. What its parts log begins with `log: `,
so that the service does not take a warning for what keeps the collector from recording.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from edgesdk.cli.app import run
from edgesdk.fleet.service.collector_process import LOGGED


class _OneLine(logging.Formatter):
    """Writes a record on one line, an exception's traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")


def main(arguments: list[str]) -> int:
    """Record until told to stop, or until our parent ends, however it does."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine(f"{LOGGED}%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    return run(["fleet", "record", *arguments])


def _stop_with_parent() -> None:
    # Ends when the other end of the pipe closes. Not by `sys.stdin`: its lock would abort the interpreter at its end.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
