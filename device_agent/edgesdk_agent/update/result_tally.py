"""The results of the running model, gathered by stretches of time: what a trial is compared with, and what it shows itself."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.update.result_features import features_of
from edgesdk_agent.update.result_profile import LABEL, RESULTS, Spread, profile_of

# A stretch with fewer results says little.
_LEAST_RESULTS = 5
# Five minutes of the usual ten seconds: longer ago it was another scene.
_KEPT = 30


class ResultTally:
    """What each camera's results said; any thread may give, and any may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, Counter[str]] = {}
        self._known: dict[str, Counter[str]] = {}
        self._results: Counter[str] = Counter()
        self._stretches: dict[str, deque[dict[str, float]]] = {}
        self._digest = ""

    def take(self, result: FrameResult) -> None:
        """Count a result in."""
        found = features_of(result.result)
        with self._lock:
            if result.digest != self._digest:
                # Another model took over between two frames: what was gathered is another one's.
                self._digest = result.digest
                for gathered in (self._sums, self._known, self._results, self._stretches):
                    gathered.clear()
            self._results[result.camera] += 1
            self._sums.setdefault(result.camera, Counter()).update(found)
            self._known.setdefault(result.camera, Counter()).update(dict.fromkeys(found, 1))

    def cut(self) -> None:
        """End a stretch and begin the next; a camera that brought too few results goes on with this one."""
        with self._lock:
            for camera in [name for name, count in self._results.items() if count >= _LEAST_RESULTS]:
                count, sums, known = self._results.pop(camera), self._sums.pop(camera), self._known.pop(camera)
                # Of labels the mean of all results, of anything else of those that gave it.
                means = {name: sums[name] / (count if LABEL in name else known[name]) for name in sums}
                self._stretches.setdefault(camera, deque(maxlen=_KEPT)).append({**means, RESULTS: 1.0})

    def profiles(self) -> Mapping[str, Mapping[str, Spread]]:
        """Return how the numbers of each camera are spread over the stretches that are over."""
        with self._lock:
            stretches = {camera: [*found] for camera, found in self._stretches.items()}
        return {camera: profile_of(found) for camera, found in stretches.items()}


class TalliedDelivery(WrappingDelivery):
    """Deliver each result after it was counted in.

    Args:
        delivery: gets the results.
    """

    def __init__(self, tally: ResultTally, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._tally = tally

    def __call__(self, result: FrameResult) -> None:
        """Count a result in, and deliver it."""
        self._tally.take(result)
        self._delivery(result)
