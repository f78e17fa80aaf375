"""Notice by its price that pictures are stretched before they are handed out.

OpenCV over FFmpeg hands every picture out at the size at which it opened: one of another size is stretched to it, and no
property tells. What tells is the price. Turning YUV into BGR without scaling has a path of its own in FFmpeg's swscale;
with scaling the same output costs 4.6 to 10 times as much (measured by hand in OpenCV 5.0: 8 bits, 4:2:0 and 4:2:2, up and
down, also by 16 rows of 720; 4:4:4 2.2 to 3.8 and 10 bits 1.1 to 1.6, which are not seen: see `native_size`; on x86, and not
on ARM). It depends on the sizes alone and not on what the picture shows.

Rule: a picture that was dear is converted again, into the same memory, and compared with what that usually costs; a yardstick
of arithmetic takes out that the processor's clock differs. Costs are processor time of the calling thread, so that other work
on the machine does not count; but memory that others keep busy makes a conversion dear, too. So one such picture proves
nothing: whoever has no second source to ask goes by several in a row (`DearRun`).

What is usual follows the machine slowly, down and up: it may have been learnt on a slow clock, or before the model ran. What
the looking costs is bounded: where it is in vain, only one picture in fifty, or one in two seconds, is looked into.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

# So many false alarms end the looking; each before doubles the price that counts as dear.
MOST_ALARMS = 2
# Between 1 and what scaling costs at least, for who can ask another source whether it is so; and for who goes by the price
# alone: a false alarm costs him more than a change that is seen late.
ASKING, ALONE = 2.5, 3.5
_REPEATS = 5
# A run: so many pictures that were looked into, none cheap in between, each so long after the one before; ten a second will do.
_CONFIRMED, _APART_S = 6, 0.09
# Pictures are counted as those of a camera of this rate, so that a slow one is not looked into more seldom.
_RATE = 25.0
# A look may be spent for so many pictures; some are saved for when they are needed.
_PICTURES_A_LOOK, _MOST_SAVED = 50, 10
# What is usual is measured again after so many pictures, and goes so far down or up.
_PICTURES_TO_LEARN = 250
_DOWN, _UP = 1.25, 1.05

_NUMBERS = np.ones(16384, np.float32)
_PRODUCTS = np.empty_like(_NUMBERS)

Clock = Callable[[], float]


class ConversionPrice:
    """Watch what conversions cost, seconds of processor time.

    Args:
        dearer: how many times as much as usual a scaled conversion costs at least.
        clock: monotonic seconds.
    """

    def __init__(self, dearer: float = ASKING, *, clock: Clock = time.monotonic) -> None:
        self._dearer = dearer
        self._clock = clock
        self._usual_s = self._yardstick_s = 0.0
        self._looks = float(_MOST_SAVED)
        self._unlearnt = 0.0
        self._seen_at = clock()

    def is_dear(self, took_s: float, again: Callable[[], object]) -> bool:
        """Say whether a conversion took far longer than usual, for whatever reason.

        Args:
            took_s: of the picture; the first one tells what is usual.
            again: converts the same picture into the same memory.
        """
        now = self._clock()
        pictures, self._seen_at = max(1.0, (now - self._seen_at) * _RATE), now
        self._looks = min(_MOST_SAVED, self._looks + pictures / _PICTURES_A_LOOK)
        self._unlearnt += pictures
        if not self._usual_s:
            self._usual_s, self._yardstick_s = _least_s(again), _least_s(_calculate)
            self._unlearnt = 0.0
        elif took_s > self._dearer * self._usual_s:
            return True
        elif took_s < self._usual_s:
            # It costs no more than it took: the machine is faster now than when that was learnt.
            share = max(took_s / self._usual_s, 1 / _DOWN)
            self._usual_s, self._yardstick_s = share * self._usual_s, share * self._yardstick_s
        elif self._unlearnt >= _PICTURES_TO_LEARN:
            self._learn(_least_s(again), _least_s(_calculate))
        return False

    def is_scaled(self, again: Callable[[], object], *, in_run: bool = False) -> bool:
        """Look into a dear picture: say whether its conversion itself is dear, by the clock that the processor has now.

        Args:
            again: converts the same picture into the same memory.
            in_run: the picture before was scaled: this one is looked into in any case.
        """
        if self._looks < 1 and not in_run:
            return False
        self._looks -= 1
        cost_s, yardstick_s = _least_s(again), _least_s(_calculate)
        if cost_s > self._dearer * self._usual_s * max(1.0, yardstick_s / self._yardstick_s):
            return True
        if self._unlearnt >= _PICTURES_TO_LEARN:
            self._learn(cost_s, yardstick_s)
        return False

    def forget(self) -> None:
        """Learn from the next picture what is usual now: another reason has made conversions dear."""
        self._usual_s = 0.0

    def _learn(self, cost_s: float, yardstick_s: float) -> None:
        """Go some way to what was measured; the yardstick as far as the cost, as one without the other means nothing."""
        differs = math.log(cost_s / self._usual_s)
        limit = math.log(_UP if differs > 0 else _DOWN)
        share = min(1.0, limit / abs(differs)) if differs else 1.0
        self._usual_s *= (cost_s / self._usual_s) ** share
        self._yardstick_s *= (yardstick_s / self._yardstick_s) ** share
        self._unlearnt = 0.0


class DearRun:
    """Tell lasting from passing: several scaled pictures in a row, over half a second at least, and no cheap one between.

    Args:
        price: of the camera.
        clock: monotonic seconds.
    """

    def __init__(self, price: ConversionPrice, *, clock: Clock = time.monotonic) -> None:
        self._price = price
        self._clock = clock
        self._confirmed, self._looked_at = 0, 0.0

    def lasts(self, took_s: float, again: Callable[[], object]) -> bool:
        """Say whether pictures are scaled for long enough; see `ConversionPrice.is_dear`."""
        if not self._price.is_dear(took_s, again):
            self._confirmed = 0
            return False
        now = self._clock()
        if self._confirmed and now - self._looked_at < _APART_S:
            return False
        is_scaled = self._price.is_scaled(again, in_run=self._confirmed > 0)
        self._confirmed, self._looked_at = self._confirmed + 1 if is_scaled else 0, now
        if self._confirmed < _CONFIRMED:
            return False
        self._confirmed = 0
        return True


def _calculate() -> None:
    np.multiply(_NUMBERS, _NUMBERS, out=_PRODUCTS)


def _least_s(work: Callable[[], object]) -> float:
    least = math.inf
    for _ in range(_REPEATS):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return max(least, 1e-9)
