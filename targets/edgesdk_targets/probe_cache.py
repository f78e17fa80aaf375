"""The answers of earlier probes, so that the second start of a device costs nothing.

What works is believed until something changes; what failed is tried again after a while, as memory may be free then or a
library be installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_targets.answer_cache import AnswerCache
from edgesdk_targets.probe_result import Outcome, ProbeResult

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
        self._answers = AnswerCache(folder / "probes" if folder is not None else None)
        self._clock = clock

    def get(self, key: str) -> ProbeResult | None:
        """Return a kept answer that still holds."""
        data = self._answers.get(key)
        if data is None:
            return None
        try:
            result = ProbeResult.from_json(data.get("result"))
            age = self._clock() - float(data["at"])
        except (ValueError, TypeError, KeyError):
            return None
        if not result.fine and not 0 <= age < _LASTS_S.get(result.outcome, _OTHERS_LAST_S):
            return None
        return result

    def put(self, key: str, result: ProbeResult) -> None:
        """Keep an answer."""
        self._answers.put(key, {"at": self._clock(), "result": result.to_json()})
