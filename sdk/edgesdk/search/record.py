"""How a trial's outcome is kept beside it in the database: as values of JSON (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from edgesdk.search.outcome import Ending, Miss, Trial
from edgesdk.search.parameter import Scalar

KEY = "outcome"
# JSON knows no infinity.
MOST_TIMES = 1e9
_MOST_LETTERS = 500


def record_of(
    ending: Ending,
    figures: Mapping[str, float],
    misses: Collection[Miss],
    *,
    why: str,
    seconds: float,
    same_as: int | None,
) -> dict[str, Any]:
    """Return what is kept of a trial under `KEY`."""
    return {
        "ending": ending,
        "figures": {name: value for name, value in figures.items() if math.isfinite(value)},
        "undefined": [name for name, value in figures.items() if not math.isfinite(value)],
        "why": why[:_MOST_LETTERS],
        "seconds": seconds,
        "same_as": same_as,
        "misses": [[m.name, m.value, m.limit, m.whose, min(m.times, MOST_TIMES), m.is_least] for m in misses],
    }


def trial_of(number: int, parameters: Mapping[str, Scalar], kept: Mapping[str, Any]) -> Trial:
    """Return a trial that ended.

    Args:
        kept: the attributes beside it.
    """
    outcome = kept[KEY]
    return Trial(
        number=number,
        ending=outcome["ending"],
        parameters=dict(parameters),
        figures=outcome["figures"],
        misses=tuple(Miss(*miss) for miss in outcome["misses"]),
        why=outcome["why"],
        seconds=outcome["seconds"],
        same_as=outcome["same_as"],
        is_baseline=bool(kept.get("baseline")),
    )


def figure_names(kept: Mapping[str, Any]) -> list[str]:
    """Return the names of all figures of a trial that finished; none of another."""
    outcome = kept.get(KEY, {})
    return [*outcome["figures"], *outcome["undefined"]] if outcome.get("ending") == "finished" else []
