"""What follows from the trials: the front, the one to take, what beats the baseline; or what stands in the way (pure)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk.search.outcome import Trial, loss_of
from edgesdk.search.space import Space

# Trials are timed one after the other, minutes apart and not by turns: times that differ by less are the same.
SAME_TIME = 1.1
_TIMES = frozenset({"ms", "fps"})


@dataclass(frozen=True, slots=True)
class SearchVerdict:
    """What a search found.

    Attributes:
        chosen: the trial to take; None where none keeps the limits.
        why: in a sentence.
        front: the numbers of those that no other beats in all objectives, best in the first objective first.
        beat_baseline: the numbers of those that are at least as good as the baseline in all objectives, and better in one;
            times within a factor of `SAME_TIME` are equally good.
    """

    chosen: Trial | None
    why: str
    front: tuple[int, ...]
    beat_baseline: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "chosen": self.chosen.number if self.chosen else None,
            "why": self.why,
            "front": list(self.front),
            "beat_baseline": list(self.beat_baseline),
        }


def verdict_of(space: Space, trials: Sequence[Trial]) -> SearchVerdict:
    """Judge the trials of a search."""
    fitting = [trial for trial in trials if trial.fits and trial.same_as is None]
    front = front_of(space, fitting)
    baseline = next((trial for trial in trials if trial.is_baseline and trial.ending == "finished"), None)
    beat = [t.number for t in fitting if baseline is not None and surely_beats(space, t, baseline)]
    if not front:
        return SearchVerdict(None, _in_the_way(space, trials), (), ())
    chosen = front[0]
    return SearchVerdict(
        chosen, _why(space, chosen, front, baseline, beat), tuple(t.number for t in front), tuple(beat)
    )


def front_of(space: Space, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that no other beats, best in the first objective first."""
    kept = [trial for trial in trials if not any(beats(space, other, trial) for other in trials)]
    return sorted(kept, key=lambda trial: (losses(space, trial), trial.number))


def beats(space: Space, one: Trial, other: Trial) -> bool:
    """Say whether one trial is as good as another in every objective, and better in one: Pareto's dominance."""
    mine, theirs = losses(space, one), losses(space, other)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def surely_beats(space: Space, one: Trial, other: Trial) -> bool:
    """Say the same where a time only counts as better or worse beyond what timing itself varies by."""
    mine, theirs = losses(space, one), losses(space, other)
    order = [_order(name, a, b) for name, a, b in zip(space.objectives, mine, theirs, strict=True)]
    return max(order) <= 0 and min(order) < 0


def _order(name: str, mine: float, theirs: float) -> int:
    """Return -1 where a loss is less than another, 1 where it is more, 0 where they are equally good."""
    if name in _TIMES and 0 < abs(mine) < math.inf and 0 < abs(theirs) < math.inf:
        larger, smaller = max(abs(mine), abs(theirs)), min(abs(mine), abs(theirs))
        if larger <= smaller * SAME_TIME:
            return 0
    return (mine > theirs) - (mine < theirs)


def losses(space: Space, trial: Trial) -> tuple[float, ...]:
    """Return the objectives turned so that less is better."""
    return tuple(loss_of(trial.figures, name) for name in space.objectives)


def _why(space: Space, chosen: Trial, front: Sequence[Trial], baseline: Trial | None, beat: Sequence[int]) -> str:
    first = space.objectives[0]
    said = f"the best {first}, {chosen.figures[first]:.4g}, of what keeps all limits"
    if len(front) > 1:
        said += f"; {len(front)} trials are on the front, where more of one objective costs another"
    if baseline is not None:
        number = f"{len(beat)} trials beat" if len(beat) != 1 else "1 trial beats"
        said += (
            f"; {number} the baseline: as good in every objective, and better in one"
            if beat
            else "; none is as good as the baseline in every objective and better in one"
        )
        if not _TIMES.isdisjoint(space.objectives):
            said += f" (times within {SAME_TIME - 1:.0%} count as the same)"
    return said


def _in_the_way(space: Space, trials: Sequence[Trial]) -> str:
    """Say how near the nearest trial came, and which limits stand in the way."""
    tried = [trial for trial in trials if trial.misses and math.isfinite(trial.over)]
    if not tried:
        failed = [trial.why for trial in trials if trial.why]
        common = Counter(failed).most_common(1)
        return f"No trial finished. Most of them: {common[0][0]}" if common else "No trial was made."
    nearest = min(tried, key=lambda trial: (trial.over, losses(space, trial)))
    often = Counter(miss.name for trial in tried for miss in trial.misses)
    ways = ", ".join(f"{name} in {count} of {len(tried)}" for name, count in often.most_common(3))
    said = "; ".join(miss.text() for miss in nearest.misses)
    return (
        f"No trial keeps all limits. Trial {nearest.number} came nearest, {nearest.over:.3g} times its limit: {said}. "
        f"In the way stood {ways}. Allow more, or widen the space towards smaller models."
    )
