"""What each part of a model bears: its score with a part of one group of channels gone, the rest as it was, no retraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edgesdk.compression.channel_groups import ChannelGroup, ChannelGroups
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.subject import Subject

# The score of a model, 0 to 1, higher is better.
Score = Callable[[Subject], float]


class GroupSensitivity(BaseModel):
    """What one group bears.

    Attributes:
        ratios: which part of its channels was gone.
        scores: of the model then.
        tolerance: the mean of the scores relative to the whole model's, from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    layers: tuple[str, ...]
    channels: int
    ratios: tuple[float, ...]
    scores: tuple[float, ...]
    tolerance: float


def sensitivities(
    found: ChannelGroups,
    score: Score,
    ratios: Sequence[float],
    say: Callable[[str], None],
    kept: KeptScores | None = None,
) -> list[GroupSensitivity]:
    """Measure what each group bears, most sensitive first.

    Args:
        kept: groups that were measured before are taken from there, and others kept there at once.

    Raises:
        NoSpace, InputError: what was measured cannot be kept.
    """
    kept = kept or KeptScores()
    known = {group.name: _kept_row(kept, group, ratios) for group in found.groups}
    whole = score(found.subject) if None in known.values() else 0.0
    rows = []
    for place, group in enumerate(found.groups, 1):
        row = known[group.name]
        if row is None:
            say(f"sensitivity: {group.name} ({place} of {len(found.groups)})")
            row = _measured(found, group, score, ratios, whole)
            kept.keep(group.name, _asked(group, ratios), row.model_dump(mode="json"))
        rows.append(row)
    return sorted(rows, key=lambda row: row.tolerance)


def _measured(
    found: ChannelGroups, group: ChannelGroup, score: Score, ratios: Sequence[float], whole: float
) -> GroupSensitivity:
    amounts = [min(group.channels - 1, round(group.channels * ratio)) for ratio in ratios]
    scores = tuple(score(found.pruned({group.name: amount})) if amount else whole for amount in amounts)
    borne = [min(1.0, each / whole) if whole > 0 else 1.0 for each in scores]
    return GroupSensitivity(
        name=group.name,
        layers=group.layers,
        channels=group.channels,
        ratios=tuple(ratios),
        scores=scores,
        tolerance=sum(borne) / max(1, len(borne)),
    )


def _kept_row(kept: KeptScores, group: ChannelGroup, ratios: Sequence[float]) -> GroupSensitivity | None:
    try:
        return GroupSensitivity.model_validate(kept.get(group.name, _asked(group, ratios)))
    except ValidationError:
        return None


def _asked(group: ChannelGroup, ratios: Sequence[float]) -> list[Any]:
    return [list(group.layers), group.channels, list(ratios)]
