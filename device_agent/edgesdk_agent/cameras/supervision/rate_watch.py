"""Measure a camera's rate, and say whether it is well under what is expected of it.

What is expected is the configured rate, else what the camera has shown: the best rate seen at first; one that goes down
for a minute and stays there has been set to it, and that is what is expected from then on. A reader that comes late
measures itself and not the camera: such a span is not judged.
"""

from __future__ import annotations

from collections.abc import Callable

# A lower rate that lasts so long is the camera's new one, where none is configured.
_ADAPTS_AFTER_S = 60.0
# A slow camera counts as well again only clearly above the limit.
_WELL_AGAIN = 1.3
_FASTER = 1.2
_SETTLING = 1 / 8
# Of a span that is judged, the reader waited for the camera at least this share.
_LEAST_WAITING = 0.5


class RateWatch:
    """The rate of one camera.

    Args:
        configured: frames a second that are to come; None measures.
        slow_below: share of it under which the camera is slow.
        window_s: over how long a rate is measured, by the expected rate.

    Attributes:
        expected: frames a second; None until the first measurement.
        slow: whether the last one was well under it.
        changes: how often the camera took up another rate, which is expected since.
    """

    def __init__(self, configured: float | None, slow_below: float, window_s: Callable[[float | None], float]) -> None:
        self.expected = configured
        self.slow = False
        self.changes = 0
        self._configured = configured is not None
        self._slow_below = slow_below
        self._window_s = window_s
        self._began: float | None = None
        self._slow_since = 0.0
        self._pictures = 0
        self._waited_s = 0.0

    def begin(self) -> None:
        """Begin a new span: the camera was opened again."""
        self._began = None

    def picture(self, at: float, waited_s: float) -> None:
        """Note a picture.

        Args:
            at: when it came, monotonic seconds.
            waited_s: how long its reader waited for it.
        """
        if self._began is None:
            self._began, self._pictures, self._waited_s = at, 0, 0.0
            return
        self._pictures += 1
        self._waited_s += waited_s
        span = at - self._began
        if span < self._window_s(self.expected):
            return
        if self._waited_s >= _LEAST_WAITING * span:
            self._judge(self._pictures / span, at)
        self._began, self._pictures, self._waited_s = at, 0, 0.0

    def _judge(self, rate: float, at: float) -> None:
        expected = self.expected
        if expected is None:
            self.expected = rate
            return
        limit = self._slow_below * expected
        was_slow, self.slow = self.slow, rate < (min(limit * _WELL_AGAIN, expected) if self.slow else limit)
        if self._configured:
            return
        if not self.slow:
            if rate > _FASTER * expected:
                self.expected, self.changes = rate, self.changes + 1
            else:
                self.expected = expected + (rate - expected) * _SETTLING
        elif not was_slow:
            self._slow_since = at
        elif at - self._slow_since >= _ADAPTS_AFTER_S:
            self.expected, self.slow, self.changes = rate, False, self.changes + 1
