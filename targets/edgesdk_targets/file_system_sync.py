"""Make all of one file system lasting: what other programs wrote there too, and without waiting for any other disk.

Python has `os.sync` alone, which waits for every disk of the machine, a stick and a server that is away included, and says
nothing of what could not be written. `syncfs(2)` tells that since Linux 5.8.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def sync_file_system(folder: Path) -> None:
    """Return once everything on the file system of a folder is on its disk. Raises OSError: it is not."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)
