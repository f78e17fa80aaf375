"""Notice by its price that pictures are stretched before they are handed out.

OpenCV over FFmpeg hands every picture out at the size at which it opened: one of another size is stretched to it, and no
property tells. What tells is the price. Turning YUV into BGR without scaling has a path of its own in FFmpeg's swscale;
with scaling the same output costs 4.6 to 10 times as much (measured in OpenCV 5.0: 8 bits, 4:2:0 and 4:2:2, up and down,
also by 16 rows of 720; 4:4:4 2.2 to 3.8; 10 bits 1.1 to 1.6, which is not seen; on x86, and not on ARM). It depends on the
sizes alone and not on what the picture shows.

Rule: a picture that was dear is converted again, into the same memory, and compared with a conversion of the first
picture done in the same way; a yardstick of arithmetic takes out that the processor's clock differs. Costs are processor
time of the calling thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

# Between 1 and what scaling costs at least.
_DEARER = 2.5
_REPEATS = 5
# So many dear pictures in a row, each looked into, have another reason, such as fresh memory for each: only dearer ones are
# looked into then. One alone, as the first of a film that begins again, changes nothing.
_IN_A_ROW = 8
_ABOVE = 1.2
# How quickly that is forgotten; a picture.
_FORGET = 0.999

_NUMBERS = np.ones(16384, np.float32)
_PRODUCTS = np.empty_like(_NUMBERS)


class ConversionPrice:
    """Watch what conversions cost, seconds of processor time."""

    def __init__(self) -> None:
        self._usual_s = self._yardstick_s = 0.0
        self._suspicious_s = self._least_dear_s = math.inf
        self._dear = 0

    def is_scaled(self, took_s: float, again: Callable[[], object]) -> bool:
        """Say whether a picture was scaled, other than the first one that was seen.

        Args:
            took_s: its conversion.
            again: converts the same picture into the same memory.
        """
        if not self._usual_s:
            self._usual_s, self._yardstick_s = _least_s(again), _least_s(_calculate)
            self._suspicious_s = _DEARER * self._usual_s
            return False
        if took_s <= self._suspicious_s:
            self._dear, self._least_dear_s = 0, math.inf
            self._suspicious_s = max(_DEARER * self._usual_s, _FORGET * self._suspicious_s)
            return False
        cost_s, slower = _least_s(again), max(1.0, _least_s(_calculate) / self._yardstick_s)
        if cost_s > _DEARER * self._usual_s * slower:
            return True
        self._dear, self._least_dear_s = self._dear + 1, min(took_s, self._least_dear_s)
        if self._dear == _IN_A_ROW:
            self._suspicious_s = _ABOVE * self._least_dear_s
            self._dear, self._least_dear_s = 0, math.inf
        return False


def _calculate() -> None:
    np.multiply(_NUMBERS, _NUMBERS, out=_PRODUCTS)


def _least_s(work: Callable[[], object]) -> float:
    least = math.inf
    for _ in range(_REPEATS):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return max(least, 1e-9)
