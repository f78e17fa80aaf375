"""A claim on a store's file: one collector writes it, and the claim ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edgesdk_targets.errors import InputError


class Claim:
    """Holds a file for one collector.

    Raises:
        InputError: another one holds it, or its folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.fdopen(
                os.open(path.with_name(path.name + "-recorder"), os.O_WRONLY | os.O_CREAT, 0o600), "ab"
            )
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", hint="Look at the folder and its rights."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise InputError(f"Another recorder writes {path}.", hint="Stop it first, or give another --db.") from error

    def close(self) -> None:
        """Let go. May be called twice."""
        self._file.close()
