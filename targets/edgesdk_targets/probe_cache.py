"""The answers of earlier probes, so that the second start of a device costs nothing.

Each is a small file named by its fingerprint. One that is damaged, of another user, or holds another fingerprint's
answer counts as absent. What works is believed until something changes; what failed is tried again after a while, as
memory may be free then or a library be installed. Where the folder cannot be written nothing is kept.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.probe_result import Outcome, ProbeResult
from edgesdk_targets.whole_file import write_whole

log = logging.getLogger(__name__)

_FORMAT = 1
_MAX_BYTES = 64 << 10
_MAX_FILES = 64
_DAY_S = 86400.0
# What depends on nothing but the fingerprint lasts longer than what the moment may have caused.
_LASTS_S = {
    Outcome.ILLEGAL_INSTRUCTION: 30 * _DAY_S,
    Outcome.NOT_FINITE: 30 * _DAY_S,
    Outcome.WRONG_OUTPUTS: 30 * _DAY_S,
    Outcome.CRASHED: _DAY_S,
}
_OTHERS_LAST_S = 3600.0


class ProbeCache:
    """Kept answers in a folder; None keeps nothing.

    Args:
        clock: seconds since 1970; a device without a battery may see it jump either way.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder / "probes" if folder is not None else None
        self._clock = clock

    def get(self, key: str) -> ProbeResult | None:
        """Return a kept answer that still holds."""
        if self._folder is None:
            return None
        try:
            data = json.loads(_own_file(self._folder / f"{key}.json"))
            if not isinstance(data, dict) or (data.get("format"), data.get("key")) != (_FORMAT, key):
                return None
            result = ProbeResult.from_json(data.get("result"))
            age = self._clock() - float(data["at"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        if not result.fine and not 0 <= age < _LASTS_S.get(result.outcome, _OTHERS_LAST_S):
            return None
        return result

    def put(self, key: str, result: ProbeResult) -> None:
        """Keep an answer; the oldest go beyond a few dozen."""
        if self._folder is None:
            return
        data = {"format": _FORMAT, "key": key, "at": self._clock(), "result": result.to_json()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{key}.json", json.dumps(data, sort_keys=True).encode())
            files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[_MAX_FILES:]:
                path.unlink(missing_ok=True)
        except (OSError, EdgeError) as error:
            log.debug("the probe's answer is not kept: %s", error)


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
