"""How large a share of the frames a shadow run may take now. Pure: how the device is goes in, a share comes out.

It falls to nothing as soon as results get older than while it was quiet, or the device is hot, slows itself down, is short of
memory or has no processor to spare; then it rests, longer each time, and begins again small. Now and then it is quiet for
a look, so that what is usual is known as it is now.
"""

from __future__ import annotations

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.governor.strain import StrainMarks, strain_of
from edgesdk_agent.health.facts import Facts

_FIRST_PART = 8
# Ages of so many quiet looks say what is usual; one of so many looks is quiet.
_USUAL, _KNOWN = 5, 3
_QUIET_EVERY = 12


@dataclass(frozen=True, slots=True)
class PaceMarks:
    """From where on a shadow run is quiet.

    Attributes:
        age_times, age_slack_ms: how many times as old as usual results may be, and what is too little to matter.
        busy_percent: of all cores.
        strain: temperature and memory, as the governor has them.
    """

    age_times: float = 1.25
    age_slack_ms: float = 2.0
    busy_percent: float = 95.0
    strain: StrainMarks = field(default_factory=StrainMarks)


class Pace:
    """Chooses the share, look by look.

    Args:
        most: the share where nothing presses.

    Attributes:
        share: now; paused: how often it fell to nothing, by what pressed.
    """

    def __init__(self, most: float, marks: PaceMarks, rests: Backoff | None = None) -> None:
        self._most, self._marks = most, marks
        self._rests = rests or Backoff(first_s=5.0, limit_s=300.0)
        self._usual: deque[float] = deque(maxlen=_USUAL)
        self._rest_until = 0.0
        self._looks = 0
        self.share = 0.0
        self.paused: Counter[str] = Counter()

    def look(self, facts: Facts) -> float:
        """Return the share from now on.

        Args:
            facts: of the time since the last look; `age_p95_ms` of its results.
        """
        was_quiet = self.share == 0.0
        if was_quiet and facts.age_p95_ms is not None:
            self._usual.append(facts.age_p95_ms)
        pressing = self._pressing(facts)
        if pressing:
            if not was_quiet:
                self.paused[pressing] += 1
                self._rest_until = facts.at + self._rests.next_s()
            self.share = 0.0
        elif facts.at < self._rest_until or len(self._usual) < _KNOWN:
            self.share = 0.0
        else:
            self._looks += 1
            if self._looks % _QUIET_EVERY == 0:
                # All went well since the last one.
                self._rests.reset()
                self.share = 0.0
            else:
                self.share = min(self._most, max(self.share * 2, self._most / _FIRST_PART))
        return self.share

    def _pressing(self, facts: Facts) -> str:
        marks = self._marks
        age = facts.age_p95_ms
        if age is not None and len(self._usual) >= _KNOWN:
            usual = statistics.median(self._usual)
            if age > usual * marks.age_times + marks.age_slack_ms:
                return "results get older"
        if facts.system_cpu_percent is not None and facts.system_cpu_percent >= marks.busy_percent:
            return "the processor is busy"
        strained = strain_of(facts, float("inf"), marks.strain)
        if facts.throttled:
            return "the device slows itself down"
        return strained.presses[0].partition(" ")[0] if strained.presses else ""
