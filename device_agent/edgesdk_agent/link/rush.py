"""When reports come in a rush, as from a film at full speed, several are sent at a time.

The link's thread is woken for a report and again for its acknowledgement, and takes Python's lock from the lanes each time: of a
pipeline that makes 700 results a second, that costs more than sending them. Reports that come one by one, as a camera's, go
out at once.
"""

from __future__ import annotations

# Sixteen cameras at 30 frames a second are not a rush yet.
_RUSH_GAP_S = 0.002
_PAUSE_S = 0.005
# How much the newest gap counts in the mean: cameras that all come at once are no rush for their few reports.
_WEIGHT = 1 / 64
_AT_FIRST_S = 0.02


class Rush:
    """Notice a rush of reports, and say how long to gather them."""

    def __init__(self) -> None:
        self._gap_s = _AT_FIRST_S
        self._last = 0.0

    def sent(self, now: float) -> None:
        """Note a report that is sent now, in monotonic seconds."""
        self._gap_s += _WEIGHT * (min(now - self._last, 1.0) - self._gap_s)
        self._last = now

    @property
    def pause_s(self) -> float:
        """How long to gather reports before the next are sent; 0 where they come one by one."""
        return _PAUSE_S if self._gap_s < _RUSH_GAP_S else 0.0
