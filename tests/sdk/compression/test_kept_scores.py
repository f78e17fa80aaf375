"""What was measured before a pass is found again whatever follows it, and not where the model or the pictures are others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgesdk.compression.course import Course
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.recipe import recipe_of
from edgesdk.compression.sensitivity import sensitivities
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Workbench
from edgesdk_testkit.nets_to_compress import subject

PRUNE: dict[str, Any] = {"pass": "prune", "macs": 0.9, "multiple": 4}
CLUSTER: dict[str, Any] = {"pass": "cluster", "count": 4, "layers": ["one.*"]}


def told(
    folder: Path,
    *steps: dict[str, Any],
    identity: str = "a",
    scored_on: str = "some",
    pictures: int = 8,
    epochs: int = 1,
    learnt: float = 0.0,
) -> list[str]:
    """Run a recipe; return the layers or groups that were measured for it.

    Args:
        learnt: what each training adds to each weight.
    """
    lines: list[str] = []

    def train(module: nn.Module, _plan: Any, _folder: Path, **_rest: Any) -> dict[str, Any]:
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(learnt)
        return {}

    def score(made: Subject) -> float:
        return 0.9 if made.changes else 1.0

    bench = Workbench(
        start=subject("residual"),
        score=score,
        latency_ms=lambda _made, _runtime: 1.0,
        train=train,
        teacher=lambda name: pytest.fail(f"{name} was asked for"),
        plan=None,
        folder=folder,
        say=lines.append,
        sensitivity=lambda found, kept: sensitivities(found, score, (0.5,), lines.append, kept),
        evaluations=32,
        pictures=pictures,
    )
    recipe = recipe_of(
        list(steps),
        data={"train": "train", "evaluate": "test"},
        recovery={"epochs": epochs},
        sensitivity={"pictures": pictures},
    )
    Course(recipe, bench, None, folder, identity, scored_on).run()
    return [line.partition(" (")[0].removeprefix("sensitivity: ") for line in lines if " of " in line and " (" in line]


def test_another_training_measures_nothing_again(tmp_path: Path) -> None:
    measured = told(tmp_path, CLUSTER)
    assert len(measured) == 2
    assert told(tmp_path, CLUSTER, epochs=2) == []
    assert told(tmp_path, {**CLUSTER, "recover": False}) == []
    # What no score hangs on: another loss, other pictures that the gate judges by.
    assert told(tmp_path, CLUSTER, identity="b") == []
    # The controls: more pictures to choose by, and others.
    assert told(tmp_path, CLUSTER, pictures=9) == measured
    assert told(tmp_path, CLUSTER, pictures=9, identity="c") == []
    assert told(tmp_path, CLUSTER, pictures=9, identity="d", scored_on="others") == measured


def test_another_model_from_the_same_recipe_is_measured_and_made_anew(tmp_path: Path) -> None:
    """As of a budget in time, or a training on a GPU: the first pass is made anew, and comes to another model."""
    factorise = {"pass": "factorise", "energy": 0.9, "layers": ["two.*"]}
    steps = (factorise, {**CLUSTER, "recover": False})
    first = told(tmp_path, *steps)
    assert first
    shutil.rmtree(tmp_path / "01-factorise")
    # The control: the same once more is found again, measured and made.
    report = tmp_path / "02-cluster/pass.json"
    made = report.read_bytes()
    told(tmp_path, *steps)
    assert report.read_bytes() == made
    shutil.rmtree(tmp_path / "01-factorise")
    again = told(tmp_path, *steps, learnt=0.125)
    assert [name for name in again if name.startswith("one")] == [name for name in first if name.startswith("one")]
    assert report.read_bytes() != made


def test_groups_of_channels_are_not_measured_again_either(tmp_path: Path) -> None:
    assert len(told(tmp_path, PRUNE)) == 4
    assert told(tmp_path, {**PRUNE, "macs": 0.8}, epochs=2) == []


def test_another_budget_measures_only_what_it_asks_for_otherwise(tmp_path: Path) -> None:
    measured = told(tmp_path, CLUSTER)
    assert told(tmp_path, {**CLUSTER, "layers": ["one.*", "two.conv1"]}) == ["two.conv1"]
    assert sorted(told(tmp_path, {**CLUSTER, "count": 8})) == sorted(measured)


def test_what_is_damaged_counts_as_not_measured(tmp_path: Path) -> None:
    kept = KeptScores(tmp_path / "kept.json", "k")
    kept.keep("one", [1], {"score": 0.5})
    assert KeptScores(tmp_path / "kept.json", "k").get("one", [1]) == {"score": 0.5}
    assert KeptScores(tmp_path / "kept.json", "k").get("one", [2]) is None
    assert KeptScores(tmp_path / "kept.json", "other").get("one", [1]) is None
    for text in ("[", "[]", "{}", '{"key": "k", "rows": []}', '{"key": "k", "rows": {"one": 3}}'):
        (tmp_path / "kept.json").write_text(text)
        assert KeptScores(tmp_path / "kept.json", "k").get("one", [1]) is None
