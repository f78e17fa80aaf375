"""Answers that were dear to find (of probes, of tuning), kept on disk so that the next start costs nothing.

Each is a small file named by the fingerprint of all it depends on. One that is damaged, of another user, or holds another
fingerprint's answer counts as absent. Where the folder cannot be written nothing is kept.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.whole_file import write_whole

log = logging.getLogger(__name__)

_FORMAT = 1
_MAX_BYTES = 64 << 10
_MAX_FILES = 64


class AnswerCache:
    """Kept answers, as JSON, in a folder; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> dict[str, Any] | None:
        """Return what `put` was given under this key; None where nothing usable is there."""
        if self._folder is None:
            return None
        try:
            data = json.loads(_own_file(self._folder / f"{key}.json"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or (data.get("format"), data.get("key")) != (_FORMAT, key):
            return None
        return data

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer; the oldest go beyond a few dozen."""
        if self._folder is None:
            return
        data = {**answer, "format": _FORMAT, "key": key}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{key}.json", json.dumps(data, sort_keys=True).encode())
            files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[_MAX_FILES:]:
                path.unlink(missing_ok=True)
        except (OSError, EdgeError) as error:
            log.debug("the answer is not kept: %s", error)


def _own_file(path: Path) -> bytes:
    """Read a regular file of this user's.

    Raises:
        OSError: it is something else, of somebody else, or too large.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > _MAX_BYTES:
            raise OSError(f"{path} is not a file of ours")
        return file.read(_MAX_BYTES)
