"""A claim on a search's folder: one process searches in it, and the claim ends with the process, however that ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import disk_errors

_FILE = "search.lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a folder, made where it is absent, for the block.

    Raises:
        InputError: another process searches in it, or it cannot be written.
        NoSpace: the disk is full.
    """
    path = folder / _FILE
    with disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            with disk_errors(path):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except InputError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            raise InputError(
                f"Another process searches in {folder}.", hint="Wait for it or stop it, or give another folder."
            ) from error
        yield
