"""What each thread does at this moment: written by the interpreter itself, so that it works when Python's lock is held."""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import threading
from pathlib import Path


def thread_dump() -> str:
    """Return the stack of every thread with its name, the calling one last."""
    with tempfile.TemporaryFile() as out:
        faulthandler.dump_traceback(out, all_threads=True)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    for thread in threading.enumerate():
        if thread.ident is not None:
            text = text.replace(f"0x{thread.ident:016x}", f"{thread.name} (0x{thread.ident:x})")
    return text


def dump_on_signal(file: Path) -> None:
    """Write what each thread does into a file whenever SIGUSR1 comes, and to stderr when the process dies of a signal.

    The service manager's watchdog ends by SIGABRT: its log then says where the agent hung.
    """
    faulthandler.enable()
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    faulthandler.register(signal.SIGUSR1, out, all_threads=True)
