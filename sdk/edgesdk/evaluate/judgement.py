"""From what was measured to a verdict, with its sentence.

In this order: an answer that is no number fails; labels that do not belong to their pictures fail, since with them no
artifact can be judged; a drop known to be greater than the limit fails, and so does a class that collapsed, whatever the
mean; a drop known to be within the limit passes; all else needs more samples, and is no pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk.evaluate.comparison import Comparison, distance
from edgesdk.evaluate.drop import Drop, least_samples
from edgesdk.evaluate.limits import Limits
from edgesdk.evaluate.naming import FLOAT, the
from edgesdk_converters.proving.gate import Verdict

_SHOWN = 5
# Figures that are better when they are smaller.
_ERRORS = {"cer", "relative_error", "characters_apart", "relative_difference"}
# Distance of the distributions of scores from which a threshold set on one does not suit the other.
_APART = 0.2


def verdict_of(
    comparison: Comparison,
    limits: Limits,
    *,
    name: str,
    task: str,
    pictures: int,
    broken: int = 0,
    baseline: str = FLOAT,
) -> Verdict:
    """Judge an artifact.

    Args:
        name: of the artifact.
        pictures: how many were asked about.
        broken: how many of the artifact's answers are no numbers.
        baseline: what the artifact is compared with.
    """
    drop = comparison.drop
    failures = _failures(comparison, pictures, broken)
    warnings = [*comparison.warnings, *_moved_scores(comparison, baseline), *_grouped(pictures, drop.n)]
    needed = None
    if failures:
        outcome, reason = "fail", " ".join(failures)
    elif drop.outcome == "pass":
        outcome, reason = "pass", _passed(drop)
    else:
        outcome, needed = "need more samples", drop.needed()
        reason = _undecided(drop, needed)
        warnings += too_few(drop.n, drop.limit, drop.worst)
    report = {
        "artifact": name,
        "baseline": baseline,
        "task": task,
        "outcome": outcome,
        "reason": reason,
        "pictures": pictures,
        "independent": drop.n,
        "needed": needed,
        "limits": {
            "max_drop": limits.max_drop,
            "class_floor": limits.class_floor,
            "score_threshold": limits.score_threshold,
        },
        "broken_answers": broken,
        "labels_misplaced": comparison.misplaced,
        **comparison.to_json(),
        "warnings": warnings,
    }
    return Verdict(outcome, reason, report, needed, drop.value - drop.limit)  # type: ignore[arg-type]  # one of the three words


def too_few(n: int, limit: float, worst: float = 1.0) -> list[str]:
    """Return the warning that no artifact at all could pass with so few samples, or none."""
    least = least_samples(limit, worst)
    if n >= least:
        return []
    said = (
        f"Even an artifact that answers everything alike cannot pass with {n} independent samples: to know that a drop"
    )
    return [f"{said} is at most {_points(limit)}, about {least} are needed. Add samples, or allow a greater drop."]


def _failures(comparison: Comparison, pictures: int, broken: int) -> list[str]:
    if broken:
        return [f"{broken} of {pictures} answers are no numbers (NaN)."]
    if comparison.misplaced:
        return [f"The labels do not belong to these pictures: {comparison.misplaced}."]
    found = [
        f"{_change(drop)}; with 95 % confidence it {_worse(drop)} at least {_points(drop.low)}, and {_allowed(drop)}."
        for drop in (comparison.drop, *comparison.further)
        if drop.outcome == "fail"
    ]
    collapsed = sorted((c for c in comparison.classes if c.collapsed), key=lambda c: -c.drop)
    if collapsed:
        listed = ", ".join(f"{c.name} ({c.reference:.0%} → {c.artifact:.0%} of {c.n})" for c in collapsed[:_SHOWN])
        more = f" and {len(collapsed) - _SHOWN} more" if len(collapsed) > _SHOWN else ""
        found.append(f"Classes are lost: {listed}{more}.")
    return found


def _passed(drop: Drop) -> str:
    if drop.high < 0:
        gained = "fell by" if drop.figure in _ERRORS else "gained"
        sure = f"{gained} at least {_points(-drop.high)}"
    else:
        sure = f"{_worse(drop)} at most {_points(drop.high)}"
    return f"{_change(drop)}; with 95 % confidence it {sure}, and {_allowed(drop)}."


def _change(drop: Drop) -> str:
    """Say how a figure moved: an error that became worse rose, all else fell."""
    if abs(drop.value) < 1e-12:
        moved = "did not change"
    else:
        rose = (drop.value > 0) == (drop.figure in _ERRORS)
        moved = f"{'rose' if rose else 'fell'} by {_points(abs(drop.value))}"
    return f"{drop.figure} {moved} on {drop.n} independent samples"


def _worse(drop: Drop) -> str:
    return "rose by" if drop.figure in _ERRORS else "lost"


def _allowed(drop: Drop) -> str:
    return f"{drop.limit * 100:.2f} {'is' if drop.limit <= 0.01 else 'are'} allowed"


def _undecided(drop: Drop, needed: int | None) -> str:
    more = f"about {needed} would, {needed - drop.n} more" if needed else "no reasonable number of samples would"
    what = "rise" if drop.figure in _ERRORS else "loss"
    return (
        f"The {what} in {drop.figure} lies between {_points(drop.low)} and {_points(drop.high)}: {drop.n} independent "
        f"samples cannot tell whether it is more than {_points(drop.limit)}; {more}."
    )


def _moved_scores(comparison: Comparison, baseline: str) -> Sequence[str]:
    found = []
    for name, (reference, artifact) in comparison.scores.items():
        if len(reference) < 20 or len(artifact) < 20 or name.startswith("cosine"):
            continue
        apart = distance(reference, artifact)
        if apart > _APART:
            found.append(
                f"The distribution of {name} moved (distance {apart:.2f}): a threshold set for {the(baseline)} "
                "does not suit this artifact."
            )
    return found


def _grouped(pictures: int, independent: int) -> Sequence[str]:
    if pictures == independent:
        return []
    return [f"{pictures} pictures count as {independent}: frames of one video, and equal pictures, are one sample."]


def _points(fraction: float) -> str:
    return f"{fraction * 100:.2f} points"
