"""Prune a model by the pass of `edgesdk compress` alone: no training, and no gate that would refuse what comes of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rows import Recipe

from edgesdk.compression.channel_groups import ChannelGroups, find_groups
from edgesdk.compression.model_size import model_size, total_macs
from edgesdk.compression.prune_channels import prune_channels
from edgesdk.compression.recipe import Sensitivity
from edgesdk.compression.sensitivity import sensitivities
from edgesdk.compression.stored import write_compressed
from edgesdk.compression_run.judging import Judging, part_of, predictor_of
from edgesdk.compression_run.start import subject_of
from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk_converters.source import resolve_source


def pruned(card: Path, recipe: Recipe, data: Mapping[str, Path], folder: Path) -> tuple[Path, dict[str, Any]]:
    """Take channels until the model keeps to the recipe's one budget in MACs, guided by what each group bears.

    Returns:
        The card of what came of it, and what is told of it: sizes, groups, and what the gate says of a point.
    """
    asked = Sensitivity.model_validate(recipe.sensitivity)
    found, judging, tolerance = _surveyed(card, data["evaluate"], data["choose"], asked.ratios, asked.pictures)
    part = float(recipe.passes[0]["macs"])
    made, record = prune_channels(found, measure=total_macs, part=part, unit="MACs", tolerance=tolerance)
    verdict = judging.verdict("pruned", made)
    told = {
        "before": model_size(found.subject).to_json(),
        "after": model_size(made).to_json(),
        "passes": [{"kind": "prune", "groups": record["groups"], "left": record["left"]}],
        "gate": {"outcome": verdict.outcome, "reason": verdict.reason},
    }
    return write_compressed(made, judging.card, folder), told


@cache
def _surveyed(
    card: Path, evaluate: Path, choose: Path, ratios: tuple[float, ...], pictures: int
) -> tuple[ChannelGroups, Judging, dict[str, float]]:
    """Return a model's groups, its judge, and how well each group bears less, which is the same for all budgets."""
    source = resolve_source(card)
    start, file = subject_of(source), source.card_file
    judged, some = (open_dataset(path, task=file.card.task, labels=file.labels) for path in (evaluate, choose))
    before = predictor_of(start.module, file)
    judging = Judging(file, judged, part_of(some, pictures), AccuracyGate(judged), before)
    found = find_groups(start)
    rows = sensitivities(found, judging.score, ratios, lambda line: print(line, file=sys.stderr, flush=True))
    return found, judging, {row.name: row.tolerance for row in rows}
