"""What was measured before a pass is found again whatever follows it, and not where the model or the pictures are others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk.compression.course import Course
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.recipe import recipe_of
from edgesdk.compression.sensitivity import sensitivities
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Workbench
from edgesdk_testkit.nets_to_compress import subject

PRUNE: dict[str, Any] = {"pass": "prune", "macs": 0.9, "multiple": 4}
CLUSTER: dict[str, Any] = {"pass": "cluster", "count": 4, "layers": ["one.*"]}


def told(folder: Path, step: dict[str, Any], identity: str = "a", pictures: int = 8, epochs: int = 1) -> list[str]:
    """Run a recipe of one pass whose training changes nothing; return the layers or groups that were measured for it."""
    lines: list[str] = []

    def score(made: Subject) -> float:
        return 0.9 if made.changes else 1.0

    bench = Workbench(
        start=subject("residual"),
        score=score,
        latency_ms=lambda _made, _runtime: 1.0,
        train=lambda _module, _plan, _folder, **_rest: {},
        teacher=lambda name: pytest.fail(f"{name} was asked for"),
        plan=None,
        folder=folder,
        say=lines.append,
        sensitivity=lambda found, kept: sensitivities(found, score, (0.5,), lines.append, kept),
        evaluations=32,
        pictures=pictures,
    )
    recipe = recipe_of(
        [step],
        data={"train": "train", "evaluate": "test"},
        recovery={"epochs": epochs},
        sensitivity={"pictures": pictures},
    )
    Course(recipe, bench, None, folder, identity).run()
    return [line.partition(" (")[0].removeprefix("sensitivity: ") for line in lines if " of " in line and " (" in line]


def test_another_training_measures_nothing_again(tmp_path: Path) -> None:
    measured = told(tmp_path, CLUSTER)
    assert len(measured) == 2
    assert told(tmp_path, CLUSTER, epochs=2) == []
    assert told(tmp_path, {**CLUSTER, "recover": False}) == []
    # The controls: the same of other pictures, and of another model.
    assert told(tmp_path, CLUSTER, pictures=9) == measured
    assert told(tmp_path, CLUSTER, pictures=9, identity="b") == measured


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
