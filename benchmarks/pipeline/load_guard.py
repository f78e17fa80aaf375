"""Other work on the machine makes every figure wrong: wait until it is quiet, and say how much there was during a turn.

Ours is this process and all that it started; everything else is others'.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.process_cost import machine_busy_s, own_busy_s

# Shares of one core.
QUIET_SHARE = 0.12
_LOOK_S = 1.0

Found = TypeVar("Found")


@dataclass(slots=True)
class LoadGuard:
    """Judges other processes' load.

    Attributes:
        patience_s: how long `wait_until_quiet` waits before it goes on regardless; 0 does not wait at all.
        attempts: how often what was disturbed is measured before it is kept as it is.
        waited_s: how long it has waited in all.
    """

    patience_s: float
    attempts: int = 3
    waited_s: float = 0.0

    def undisturbed(self, name: str, measure: Callable[[], Found], share: Callable[[Found], float]) -> Found:
        """Measure once it is quiet, and again where others took more than is allowed meanwhile.

        Args:
            share: how much of a core others took while something was measured.
        """
        for attempt in range(1, self.attempts + 1):
            self.wait_until_quiet()
            found = measure()
            taken = share(found)
            if taken < QUIET_SHARE or attempt == self.attempts:
                return found
            print(f"{name}: others took {taken:.0%} of a core; once more", file=sys.stderr, flush=True)
        raise AssertionError("there is at least one attempt")

    def wait_until_quiet(self) -> bool:
        """Wait for a second in which others took little, and say whether there was one."""
        begun = time.monotonic()
        while time.monotonic() - begun < self.patience_s:
            watch = Watch()
            time.sleep(_LOOK_S)
            if watch.others_share() < QUIET_SHARE:
                self.waited_s += time.monotonic() - begun
                return True
        if self.patience_s:
            print("the machine does not become quiet; measured all the same, and noted", file=sys.stderr)
        self.waited_s += time.monotonic() - begun
        return False


class Watch:
    """From now on: how much of one core others take."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._others = machine_busy_s() - own_busy_s()

    def others_share(self) -> float:
        """Return others' time over the time that has passed."""
        spent = machine_busy_s() - own_busy_s() - self._others
        return max(0.0, spent / (time.monotonic() - self._begun))
