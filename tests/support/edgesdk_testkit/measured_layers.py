"""Passes that measure what each layer bears, on a small model whose score hangs on one layer alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch

from edgesdk.compression.cluster_by_layer import cluster_pass
from edgesdk.compression.factorise_by_layer import factorise_pass
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.pass_settings import Cluster, Factorise
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_testkit.nets_to_compress import subject

LAYERS = ("one.conv1", "one.conv2", "two.conv1", "two.conv2")
LOUD = "two.conv1"
CLUSTER = Cluster.model_validate({"pass": "cluster", "layers": LAYERS, "count": 4})
Score = Callable[[Subject], float]


def sensitive_to(start: Subject, layer: str) -> Score:
    """A score that one layer decides alone: how near it answers to what it answered at the start."""
    given = torch.randn((1, 8, 6, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = start.module.get_submodule(layer)(given)

    def score(made: Subject) -> float:
        with torch.no_grad():
            off = made.module.get_submodule(layer)(given) - expected
        return max(0.0, 1.0 - float(off.norm() / expected.norm()))

    return score


def deaf(_made: Subject) -> float:
    """A score that nothing changes."""
    return 0.75


def bench(score: Score, folder: Path, evaluations: int = 256) -> tuple[Workbench, list[str]]:
    """What a pass asks for in a measurement, and the lines that it says."""
    lines: list[str] = []
    kept = KeptScores(folder / "sensitivity.json", "of this model")
    given = SimpleNamespace(score=score, kept=kept, evaluations=evaluations, pictures=20, say=lines.append)
    return cast("Workbench", given), lines


def factorised(
    score: Score, folder: Path, evaluations: int = 256, start: Subject | None = None, **asked: float
) -> PassDone:
    """What comes of a factorisation."""
    settings = Factorise.model_validate({"pass": "factorise", "layers": LAYERS, **(asked or {"energy": 0.6})})
    return factorise_pass(settings, start or subject("residual"), bench(score, folder, evaluations)[0])


def clustered(score: Score, folder: Path, evaluations: int = 256) -> PassDone:
    """What comes of four numbers for each weight."""
    return cluster_pass(CLUSTER, subject("residual"), bench(score, folder, evaluations)[0])


def rank_of(done: PassDone, layer: str) -> float:
    """A layer's rank; one that was not factorised has all of it."""
    record = cast("dict[str, Any]", done.record)
    return float(record["layers"][layer]["rank"]) if layer in record["layers"] else float("inf")
