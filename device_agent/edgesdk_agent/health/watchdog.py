"""What to do with a pipeline that stands still although pictures come: look, mend mildly, then end. Pure decisions.

- It stands still for `stall_s`: log what each thread does, and mend what can be mended without ending (once each stall).
- It stands still for `exit_after_s`: end with a code of its own, so that the service manager starts a fresh process.
- Mild repairs have a budget: too many within `budget_window_s` end as well, as something is broken for good.

A camera that is silent is its supervision's matter, and none of this one's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

# As sysexits.h has it, EX_TEMPFAIL: try again. A service manager sees it apart from 1 (an error that was told).
EXIT_STALLED = 75


class Act(Enum):
    """What the watchdog wants done."""

    NOTHING = "nothing"
    MEND = "mend"
    END = "end"


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """How patient it is.

    Attributes:
        stall_s: without a result while pictures wait, until it looks and mends.
        exit_after_s: until it ends the process.
        repairs: mild ones that may happen within `budget_window_s`.
        first_result_s: more patience for the first result, as a runtime may compile.
    """

    stall_s: float = 30.0
    exit_after_s: float = 90.0
    repairs: int = 3
    budget_window_s: float = 3600.0
    first_result_s: float = 300.0


class Watchdog:
    """Decide from how long results have not come.

    Args:
        settings: how patient.
        may_end: somebody starts the process again; without that it only looks and mends.
    """

    def __init__(self, settings: WatchdogSettings | None = None, *, may_end: bool = True) -> None:
        self._settings = settings or WatchdogSettings()
        self._may_end = may_end
        self._mended = False
        self._repairs: deque[float] = deque()
        self.stalls = 0

    def decide(self, *, still_s: float, frames_wait: bool, had_result: bool, now: float) -> Act:
        """Return what is to be done.

        Args:
            still_s: seconds since the last result.
            frames_wait: pictures came since then.
            had_result: there was one since the start.
            now: seconds of the monotonic clock.
        """
        settings = self._settings
        patience = 0.0 if had_result else settings.first_result_s - settings.stall_s
        stalled_s = still_s - max(0.0, patience)
        if not frames_wait or stalled_s < settings.stall_s:
            self._mended = False
            return Act.NOTHING
        if stalled_s >= settings.exit_after_s and self._may_end:
            return Act.END
        if self._mended:
            return Act.NOTHING
        self._mended = True
        self.stalls += 1
        while self._repairs and now - self._repairs[0] > settings.budget_window_s:
            self._repairs.popleft()
        self._repairs.append(now)
        return Act.END if self._may_end and len(self._repairs) > settings.repairs else Act.MEND
