"""Times of something that is done again and again, by one thread or by several at the same time."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgesdk_targets.machine_load import machine_busy_s

_MOST_RUNS = 200_000  # of the fastest models; more would only cost memory


@dataclass(frozen=True, slots=True)
class LaneTimes:
    """What was measured of lanes that ran at the same time.

    Attributes:
        times: seconds of each run, for each lane.
        wall_s, cpu_s: from when all had settled until the last ended; `cpu_s` of the whole process.
        others_s: processor time that others took meanwhile; 0 also where the system does not tell.
    """

    times: Sequence[array[float]]
    wall_s: float
    cpu_s: float
    others_s: float = 0.0


def time_lanes(
    lanes: Sequence[Callable[[], object]], seconds: float, *, fewest: int, settling: int = 0, period_s: float = 0.0
) -> LaneTimes:
    """Run all lanes at the same time for so long, each from a thread of its own; the first from this one.

    Args:
        fewest: runs of each lane, however long they take.
        settling: runs of each lane before the clock starts.
        period_s: a run begins so long after the one before, as a live camera's frames do; 0 runs without a pause.

    Raises:
        Exception: what a lane raised first.
    """
    times: list[array[float]] = [array("d") for _ in lanes]
    problems: list[BaseException] = []
    begun: list[_Clocks] = []
    barrier = threading.Barrier(len(lanes), action=lambda: begun.append(_Clocks()))

    def run(place: int) -> None:
        try:
            for _ in range(settling):
                lanes[place]()
            barrier.wait()
            times[place] = time_runs(lanes[place], seconds, fewest=fewest, period_s=period_s)
        except threading.BrokenBarrierError:
            return
        except Exception as error:  # noqa: BLE001  # of a thread: handed to the caller below
            problems.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(1, len(lanes))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return LaneTimes(times, *_Clocks().since(begun[0]))


def time_runs(run: Callable[[], object], seconds: float, *, fewest: int, period_s: float = 0.0) -> array[float]:
    """Run for so long, and at least so often; return each run's seconds. See `time_lanes` for `period_s`."""
    times, clock = array("d"), time.perf_counter
    due = start = now = clock()
    end = start + seconds
    while (now < end or len(times) < fewest) and len(times) < _MOST_RUNS:
        start = now
        run()
        now = clock()
        times.append(now - start)
        if period_s:
            due += period_s
            time.sleep(max(0.0, due - now))
            now = clock()
    return times


class _Clocks:
    """A moment: by the wall, by this process's work, and by the machine's."""

    def __init__(self) -> None:
        self._busy_s = machine_busy_s()
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def since(self, before: _Clocks) -> tuple[float, float, float]:
        """Return the seconds that passed, those that this process worked, and those that others did."""
        wall_s, cpu_s = self._wall_s - before._wall_s, self._cpu_s - before._cpu_s
        if self._busy_s is None or before._busy_s is None:
            return wall_s, cpu_s, 0.0
        return wall_s, cpu_s, max(0.0, self._busy_s - before._busy_s - cpu_s)
