"""Does a candidate do as well as the model that runs? Pure: what both did with each frame goes in, a verdict comes out, or none.

Four questions, each whether a mean is above or below a limit (`mean_test`): how far answers differ, how far they differ where
the model that runs saw one class, how often the candidate is slower than it may be, and by how much its memory rises. It is
rejected as soon as one of them is clearly bad, and promoted once all are clearly good. The same model in another process of
the same kind is the control: times and memory are compared with its own, and frames on which it does not answer as the
running one does are held against nobody.

Frames that look alike say the same thing again, so they count once, by their mean.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesdk_agent.shadow.mean_test import MeanTest

Verdict = Literal["promote", "hold", "reject"]
# Times are noisy, and a stall hits several in a row: of so many frames the median is one observation.
_TIMES = 5
# Memory: the least of so many frames, after so many blocks in which caches fill.
_BLOCK, _SETTLES = 10, 3
# A rise counts as so many times the one that is allowed at most, so that a single large one proves nothing; a fall likewise, so
# that memory which goes up and down does not grow.
_LEAKS_AT_MOST = 3
# How many times as long is said of the last so many medians.
_RATIOS = 1000
# A class that is rare and bad so often is no chance.
_SUSPECT = 3
# Of the frames, as the control answers otherwise: from there on its answers say nothing of the candidate's either.
_MOST_VOID, _KNOWN = 0.2, 20
_CONTROL_DIFFERS = 0.02
_NAMED = 4
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may do.

    Attributes:
        differ: mean difference of its answers, 0 to 1; class_differ: the same where one class was seen.
        rare: a class seen in fewer of the units than this is not judged by itself.
        slower: how many times as long as the control it may take; slack_s: what is too little to matter.
        leak_bytes: how much its memory may rise with each frame, beyond the control's.
        reject_alpha: how likely each question may reject a candidate that is as good as it must be; of all classes together.
        promote_alpha: how likely each question may pass one that is as bad as it must not be.
    """

    differ: float = 0.05
    class_differ: float = 0.5
    rare: float = 0.02
    slower: float = 1.5
    slack_s: float = 2e-4
    leak_bytes: int = 4096
    reject_alpha: float = 0.005
    promote_alpha: float = 0.05


@dataclass(frozen=True, slots=True)
class Compared:
    """One frame, answered by all three.

    Attributes:
        begins: whether it looks unlike its camera's frames before, or is long after them: it begins a unit.
        differs: of the candidate's answer from the running model's, 0 to 1; None where neither found anything.
        classes: the same by each class that the running model saw.
        control_differs: of the control's answer.
        times_s, memory_bytes: of the candidate and of the control; memory that is their own, without mapped files.
    """

    begins: bool
    camera: str
    differs: float | None
    classes: Mapping[str, float]
    control_differs: float | None
    times_s: tuple[float, float]
    memory_bytes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known by now.

    Attributes:
        verdict: None while it is open.
        reasons: why it is rejected; needs: what would have to be clearer for it to be promoted.
        rare: classes that were seen too seldom to be judged.
    """

    verdict: Literal["promote", "reject"] | None
    reasons: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()


@dataclass(slots=True)
class _Unit:
    """Frames that count once: the sums of what they said."""

    frames: int = 0
    differs: float = 0.0
    classes: dict[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Lows:
    """What the blocks' least memory was, of the candidate and of the control: once settled, and last."""

    count: int = 0
    settled: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)

    def take(self, low: tuple[int, int]) -> None:
        self.count += 1
        self.last = low
        if self.count == _SETTLES + 1:
            self.settled = low


class Judge:
    """Judges one candidate; used by one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.frames = self.void = 0
        self.answers = self._test(limits.differ)
        self.classes: dict[str, MeanTest] = {}
        self.times = self._test(0.5)
        self.memory = self._test(0.5 + 1 / (2 * _LEAKS_AT_MOST))
        self._ratios: deque[float] = deque(maxlen=_RATIOS)
        self._lows = _Lows()
        self._units: dict[str, _Unit] = {}
        self._times: list[tuple[float, float]] = []
        self._block: list[tuple[int, int]] = []

    def take(self, one: Compared) -> None:
        """Take what was seen of a frame."""
        self.frames += 1
        self._take_times(one.times_s)
        self._take_memory(one.memory_bytes)
        if one.begins:
            self._close_unit(self._units.pop(one.camera, _Unit()))
        if (one.control_differs or 0.0) > _CONTROL_DIFFERS:
            self.void += 1
            return
        if one.differs is None:
            return
        unit = self._units.setdefault(one.camera, _Unit())
        unit.frames += 1
        unit.differs += one.differs
        for label, differs in one.classes.items():
            total, count = unit.classes.get(label, (0.0, 0))
            unit.classes[label] = total + differs, count + 1

    def begins_anew(self) -> None:
        """Take what follows as of new processes, whose memory begins again."""
        self._block, self._lows = [], _Lows()

    def judgement(self) -> Judgement:
        """Return what is known by now."""
        reasons = self._reasons()
        if reasons:
            return Judgement("reject", reasons=tuple(reasons))
        rare, needs = self._class_needs()
        needs = [*self._needs(), *needs]
        return Judgement(None if needs else "promote", needs=tuple(needs), rare=tuple(rare))

    @property
    def slower(self) -> float | None:
        """How many times as long as the control the candidate takes, by the median."""
        return statistics.median(self._ratios) if self._ratios else None

    @property
    def growth_bytes(self) -> float | None:
        """By how much the candidate's memory rises with each frame, beyond the control's; None where it is not known yet."""
        settled = self._lows.count - _SETTLES
        if settled < 2:
            return None
        (first, control), (last, then) = self._lows.settled, self._lows.last
        return ((last - first) - (then - control)) / ((settled - 1) * _BLOCK)

    def _test(self, limit: float, of: int = 0) -> MeanTest:
        # Of many classes each has its part of what all together may be wrong by: 1/2 + 1/6 + 1/12 + … = 1.
        shared = self._limits.reject_alpha / (of * (of + 1)) if of else self._limits.reject_alpha
        return MeanTest(limit, shared, self._limits.promote_alpha)

    def _close_unit(self, unit: _Unit) -> None:
        if not unit.frames:
            return
        self.answers.add(unit.differs / unit.frames)
        for label, (total, count) in unit.classes.items():
            if label not in self.classes:
                self.classes[label] = self._test(self._limits.class_differ, of=len(self.classes) + 1)
            self.classes[label].add(total / count)

    def _take_times(self, times: tuple[float, float]) -> None:
        self._times.append(times)
        if len(self._times) < _TIMES:
            return
        mine, control = (statistics.median(one) for one in zip(*self._times, strict=True))
        self._times = []
        self._ratios.append(mine / control if control > 0 else 1.0)
        self.times.add(float(mine > control * self._limits.slower + self._limits.slack_s))

    def _take_memory(self, held: tuple[int, int]) -> None:
        self._block.append(held)
        if len(self._block) < _BLOCK:
            return
        mine, control = (min(one) for one in zip(*self._block, strict=True))
        self._block = []
        before = self._lows.last
        self._lows.take((mine, control))
        if self._lows.count > _SETTLES + 1:
            rises = (mine - before[0]) - (control - before[1])
            self.memory.add(0.5 + rises / (2 * _LEAKS_AT_MOST * self._limits.leak_bytes * _BLOCK))

    def _reasons(self) -> list[str]:
        limits, found = self._limits, []
        if self.answers.above:
            low, high = self.answers.interval()
            found.append(
                f"its answers differ by {_percent(self.answers.mean)} ({_percent(low)} to {_percent(high)}), "
                f"{_percent(limits.differ)} are allowed"
            )
        bad = [(label, test) for label, test in self.classes.items() if test.above]
        found += [
            f"{label}: its answers differ by {_percent(test.mean)} where it was seen ({len(test)} times)"
            for label, test in bad[:_NAMED]
        ]
        if len(bad) > _NAMED:
            found.append(f"and so do {len(bad) - _NAMED} more classes")
        if self.times.above and self.slower is not None:
            found.append(f"it takes {self.slower:.1f} times as long, {limits.slower:g} times are allowed")
        if self.memory.above:
            found.append(f"its memory grows by {(self.growth_bytes or 0) / 1024:.0f} kB with each frame")
        return found

    def _needs(self) -> list[str]:
        found = []
        if self.void > _MOST_VOID * self.frames and self.frames >= _KNOWN:
            found.append(
                f"the running model's answers again: its own copy gave others for {self.void} of {self.frames} frames"
            )
        if not self.answers.below:
            found.append(f"more frames that differ from each other and show something ({len(self.answers)} did)")
        if not self.times.below:
            found.append("more times")
        if not self.memory.below:
            found.append("more of its memory")
        return found

    def _class_needs(self) -> tuple[list[str], list[str]]:
        """Return the classes that are too rare to be judged, and what is needed of the others."""
        unclear = [(label, test) for label, test in self.classes.items() if not test.below]
        more = [label for label, test in unclear if self._is_judged(test)]
        rare = [label for label, test in unclear if not self._is_judged(test)]
        named = ", ".join(more[:_NAMED]) + (f" and {len(more) - _NAMED} more" if len(more) > _NAMED else "")
        return rare, [f"more of {named}"] if more else []

    def _is_judged(self, of_class: MeanTest) -> bool:
        """Say whether a class is seen often enough, or looks so bad that it must be cleared up."""
        if len(of_class) >= self._limits.rare * len(self.answers):
            return True
        return len(of_class) >= _SUSPECT and (of_class.mean or 0.0) > of_class.limit


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{100 * share:.1f} %"
