"""What a run's result depends on, and that nothing is judged by which was used before."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edgesdk.compression.checkpoints import keep, key_of
from edgesdk.compression.course import Course
from edgesdk.compression.recipe import recipe_of
from edgesdk.compression.workbench import Workbench
from edgesdk.compression_run.checks import activation_for
from edgesdk.compression_run.data import check_apart, open_data
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import _Depends
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.training import trainer_for
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.card import CardFile, ModelCard, finish_card
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.nets_to_compress import subject


def card(task: str = "classify", **rest: Any) -> CardFile:
    shape = TensorSpec(name="image", shape=(1, 3, 8, 8))
    made = ModelCard.model_validate({"name": "m", "task": task, "input": shape, "labels": ("a", "b"), **rest})
    return finish_card(made, Path())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    drawn = np.random.default_rng(0)
    for place in ("train", "test"):
        for name in "ab":
            (folder / place / name).mkdir(parents=True)
            for number in range(5):
                picture = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / place / name / f"{number}.png"), picture)
    return folder


def samples(folder: Path) -> list[ClassSample]:
    return [ClassSample(path, frozenset({0})) for path in sorted(folder.rglob("*.png"))]


def test_a_copy_under_another_name_is_found_and_other_pictures_are_not(pictures: Path, tmp_path: Path) -> None:
    check_apart(samples(pictures / "train"), samples(pictures / "test"), "learnt from")
    (tmp_path / "renamed.png").write_bytes((pictures / "train/a/3.png").read_bytes())
    with pytest.raises(InputError, match=r"renamed\.png is judged by, and learnt from as .*3\.png; 0 more"):
        check_apart(samples(pictures / "train"), samples(tmp_path), "learnt from")


def test_sensitivity_is_measured_on_pictures_that_nothing_is_judged_by(pictures: Path) -> None:
    passes = [{"pass": "prune", "macs": 0.5}]
    recipe = recipe_of(passes, data={"train": "train", "evaluate": "test"})
    data = open_data(recipe, pictures, card())
    assert data.choose.samples
    assert {sample.path.parts[-3] for sample in data.choose.samples} == {"train"}
    assert not data.warnings(recipe)
    recipe = recipe_of(passes, data={"evaluate": "test"})
    alone = open_data(recipe, pictures, card())
    assert "data.choose" in alone.warnings(recipe)[0]
    assert not alone.warnings(recipe.model_copy(update={"sensitivity": False}))


@pytest.mark.parametrize("given", ["train", "choose"])
def test_layers_are_only_measured_on_pictures_that_nothing_is_judged_by(pictures: Path, given: str) -> None:
    passes = [{"pass": "factorise", "energy": 0.9}]
    recipe = recipe_of(passes, data={given: "train", "evaluate": "test"})
    data = open_data(recipe, pictures, card())
    assert (data.evaluations(recipe), data.warnings(recipe)) == (64, ())
    recipe = recipe_of(passes, data={"evaluate": "test"})
    alone = open_data(recipe, pictures, card())
    assert alone.evaluations(recipe) == 0
    assert "factorise treats all layers alike" in alone.warnings(recipe)[0]
    off = recipe_of(passes, data={"evaluate": "test"}, sensitivity={"evaluations": 0})
    assert not alone.warnings(off)


def test_a_task_without_a_loss_is_refused_before_anything_is_opened() -> None:
    recipe = recipe_of([{"pass": "qat"}], data={"train": "train", "evaluate": "test"})
    with pytest.raises(InputError, match="no usual loss"):
        trainer_for(recipe, card("detect"), Pictures(Path(), Path()), print)


@pytest.mark.parametrize(
    ("task", "rest", "expected"),
    [
        ("classify", {}, "softmax"),
        ("classify", {"outputs": ("probs",)}, "none"),
        ("classify", {"postprocess": {"activation": "sigmoid"}}, "sigmoid"),
        ("detect", {}, None),
        ("regress", {}, None),
    ],
    ids=["usual", "by its name", "by the card", "boxes", "numbers"],
)
def test_what_makes_probabilities_is_told_by_the_card(task: str, rest: dict[str, Any], expected: str | None) -> None:
    assert activation_for(card(task, **rest)) == expected


def _depends(target: str, sensitivity: Any, precision: str | None = None, **prune: Any) -> object:
    rest = {"sensitivity": sensitivity, "precision": precision}
    recipe = recipe_of([{"pass": "prune", **prune}], data={"evaluate": "test"}, **rest)
    request = Request("m", None, recipe, Path(), target, Path(), None, Path(), Path())
    return _Depends(request, {}, 0)(recipe.passes[0])


def test_pruning_depends_on_sensitivity_and_on_the_target_whose_time_is_measured() -> None:
    usual = _depends("rpi5", False, latency=0.5)
    assert usual == _depends("rpi5", False, latency=0.5)
    assert usual != _depends("x86-cpu", False, latency=0.5)
    assert usual != _depends("rpi5", {"ratios": [0.5]}, latency=0.5)
    # And not on what only other passes read.
    assert _depends("rpi5", {"evaluations": 0}, macs=0.5) == _depends("rpi5", {}, macs=0.5)
    assert _depends("rpi5", False, macs=0.5) == _depends("x86-cpu", False, macs=0.5)
    assert _depends("rpi5", False, max_ms=2) != _depends("x86-cpu", False, max_ms=2)
    assert usual != _depends("rpi5", False, "fp16", latency=0.5)


def test_a_record_of_another_version_is_made_anew(tmp_path: Path) -> None:
    start = subject("residual")
    keep(tmp_path, key_of("k"), start, {"kind": "fold"})
    course = Course(
        recipe_of([{"pass": "fold"}], data={"evaluate": "t"}),
        cast("Workbench", SimpleNamespace(start=start)),
        cast("Any", None),
        tmp_path,
        "",
    )
    assert course._kept(tmp_path, key_of("k")) is None
    record = json.loads((tmp_path / "pass.json").read_text())
    (tmp_path / "pass.json").write_text(json.dumps({"key": record["key"], "weights": record["weights"]}))
    assert course._kept(tmp_path, key_of("k")) is None
