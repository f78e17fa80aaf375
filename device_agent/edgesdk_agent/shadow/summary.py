"""What a judge knows, as the summary that leaves the device. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk_agent.shadow.judge import Judge, Judgement
from edgesdk_agent.shadow.plan import ClassSeen, ShadowSummary

_MOST, _LONGEST = 16, 300
_MB = 1 << 20


def summary_of(
    judge: Judge,
    found: Judgement,
    verdict: Any,
    *,
    seconds: float,
    memory_bytes: int | None,
    paused: Mapping[str, int],
) -> ShadowSummary:
    """Return the summary of a run; of many classes those that differ most."""
    low, high = judge.answers.interval()
    growth = judge.growth_bytes
    worst = sorted(judge.classes.items(), key=lambda one: (-(one[1].mean or 0.0), -len(one[1]), one[0]))[:_MOST]
    return ShadowSummary(
        verdict=verdict,
        reasons=tuple(one[:_LONGEST] for one in found.reasons[:_MOST]),
        needs=tuple(one[:_LONGEST] for one in found.needs[:_MOST]),
        seconds=round(seconds, 1),
        frames=judge.frames,
        scenes=len(judge.answers),
        void=judge.void,
        differs=None if judge.answers.mean is None else round(judge.answers.mean, 4),
        low=round(low, 4),
        high=round(high, 4),
        allowed=judge.answers.limit,
        classes={label[:64]: ClassSeen(times=len(test), differs=round(test.mean or 0.0, 4)) for label, test in worst},
        rare=len(found.rare),
        slower=None if judge.slower is None else round(judge.slower, 3),
        growth_kb=None if growth is None else round(growth / 1024, 2),
        memory_mb=None if memory_bytes is None else round(memory_bytes / _MB, 1),
        paused={reason[:64]: count for reason, count in [*paused.items()][:_MOST]},
    )
