"""Do results look as they did before? Pure: means of stretches of time in, a reason out, or nothing.

A scene changes by itself, so what counts is how much each number varied between the stretches before. A number differs where
it is farther away than that by far, and by half as well: a label that is seen half as often, or twice. No truth is known
here; what a model must answer is the golden set's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

# What a number of objects or classes is called by: this, and the label.
LABEL = "label "
# There in every stretch, so that one in which nothing at all was found counts as well.
RESULTS = "results"
# Fewer stretches say nothing of how much a number varies.
LEAST_STRETCHES = 3
MOST_FEATURES = 64
_BY_HALF, _SCORE_BY = 0.5, 0.25
# A label that is seen in fewer than one of twenty results is too rare to be missed within a trial.
_LEAST = 0.05
# In so many results of a stretch it was there; fewer are mistakes.
_SEEN = 0.02


class Spread(BaseModel):
    """A number over several stretches of time.

    Attributes:
        sd: standard deviation between the stretches' means; stretches: how many there were.
        present: of a label, in which share of the stretches it was seen; longest: for how many in a row it was not; since: for
            how many it has not been, at the end.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    mean: float
    sd: float = Field(ge=0)
    stretches: int = Field(ge=1)
    present: float = Field(default=0.0, ge=0, le=1)
    longest: int = Field(default=0, ge=0)
    since: int = Field(default=0, ge=0)


def profile_of(stretches: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return each number's spread.

    Args:
        stretches: the mean of each number in each stretch; a label that is absent was not seen, anything else not known.

    Returns:
        At most MOST_FEATURES: how many results there were and how sure they are, and what there is most of.
    """
    names = sorted({name for stretch in stretches for name in stretch})
    found = {}
    for name in names:
        # How sure a model was where it saw nothing is not 0, it is not known.
        values = [one.get(name, 0.0) for one in stretches if LABEL in name or name in one]
        mean = math.fsum(values) / len(values)
        if math.isfinite(mean):
            sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
            seen = _seen(values) if LABEL in name else {}
            found[name] = Spread(mean=mean, sd=sd, stretches=len(values), **seen)
    kept = sorted(found, key=lambda name: (not _is_always_kept(name), -abs(found[name].mean), name))[:MOST_FEATURES]
    return {name: found[name] for name in sorted(kept)}


def _seen(means: Sequence[float]) -> dict[str, Any]:
    """Return when a label was seen, as `Spread` tells it."""
    longest = since = 0
    for mean in means:
        since = 0 if mean >= _SEEN else since + 1
        longest = max(longest, since)
    return {"present": sum(mean >= _SEEN for mean in means) / len(means), "longest": longest, "since": since}


def unlike(before: Mapping[str, Spread], now: Mapping[str, Spread], times: float) -> str:
    """Return what differs most plainly; nothing where all is as it was, or too little is known.

    Args:
        times: how many standard errors a number must be away.
    """
    if not is_known(before) or not is_known(now):
        return ""
    known, seen = stretches_of(before), stretches_of(now)
    worst, said = 0.0, ""
    for name in sorted({*before, *now}):
        old, new = _in_both(name, before, known), _in_both(name, now, seen)
        if old is None or new is None:
            continue
        apart = abs(new.mean - old.mean)
        larger = max(abs(new.mean), abs(old.mean))
        by = _SCORE_BY if name.endswith("score") else _BY_HALF
        varies = max(old.sd, new.sd) * math.sqrt(1 / old.stretches + 1 / new.stretches)
        if larger < _LEAST or apart < by * larger or apart < times * varies:
            continue
        if apart / larger > worst:
            worst, said = apart / larger, f"{name}: {new.mean:.2f} a result, {old.mean:.2f} before"
    return said


def is_known(profile: Mapping[str, Spread]) -> bool:
    """Say whether there were enough stretches to tell how much the numbers vary."""
    return stretches_of(profile) >= LEAST_STRETCHES


def stretches_of(profile: Mapping[str, Spread]) -> int:
    """Return how many stretches a profile is of."""
    return max((one.stretches for one in profile.values()), default=0)


def _in_both(name: str, profile: Mapping[str, Spread], stretches: int) -> Spread | None:
    """Return a number's spread; of a label that was never seen, that of nothing."""
    if name in profile:
        return profile[name] if profile[name].stretches >= LEAST_STRETCHES else None
    # Of a full one nobody knows whether the label was not seen, or was only one of too many.
    never_seen = LABEL in name and len(profile) < MOST_FEATURES
    return Spread(mean=0.0, sd=0.0, stretches=stretches) if never_seen else None


def _is_always_kept(name: str) -> bool:
    return name == RESULTS or (LABEL not in name and name.endswith("score"))
