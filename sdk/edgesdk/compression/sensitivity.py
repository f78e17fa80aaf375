"""What each part of a model bears: its score with a part of one group of channels gone, the rest as it was, no retraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgesdk.compression.channel_groups import ChannelGroups
from edgesdk.compression.subject import Subject

# The score of a model, 0 to 1, higher is better.
Score = Callable[[Subject], float]


@dataclass(frozen=True, slots=True)
class GroupSensitivity:
    """What one group bears.

    Attributes:
        ratios: which part of its channels was gone.
        scores: of the model then.
        tolerance: the mean of the scores relative to the whole model's, from 0 to 1.
    """

    name: str
    layers: tuple[str, ...]
    channels: int
    ratios: tuple[float, ...]
    scores: tuple[float, ...]
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> GroupSensitivity:
        lists = {name: tuple(document[name]) for name in ("layers", "ratios", "scores")}
        return cls(**{**document, **lists})


def sensitivities(
    found: ChannelGroups, score: Score, ratios: Sequence[float], say: Callable[[str], None]
) -> list[GroupSensitivity]:
    """Measure what each group bears, most sensitive first."""
    whole = score(found.subject)
    rows = []
    for place, group in enumerate(found.groups, 1):
        say(f"sensitivity: {group.name} ({place} of {len(found.groups)})")
        amounts = [min(group.channels - 1, round(group.channels * ratio)) for ratio in ratios]
        scores = tuple(score(found.pruned({group.name: amount})) if amount else whole for amount in amounts)
        kept = [min(1.0, each / whole) if whole > 0 else 1.0 for each in scores]
        rows.append(
            GroupSensitivity(
                group.name, group.layers, group.channels, tuple(ratios), scores, sum(kept) / max(1, len(kept))
            )
        )
    return sorted(rows, key=lambda row: row.tolerance)
