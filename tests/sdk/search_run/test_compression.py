"""A real search over the passes of a recipe: trained, pruned, converted and measured; gone on with after a stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgesdk.compression_run import data
from edgesdk.compression_run.content import Content, Files, Work
from edgesdk.compression_run.pictures import Pictures
from edgesdk.evaluate.dataset import Dataset
from edgesdk.search_run.search import search
from edgesdk.train import examples
from edgesdk.train.picture_set import PictureSet
from edgesdk.train.plan import Plan
from edgesdk_converters.source import resolve_source
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.card import read_card
from edgesdk_targets.errors import InputError
from edgesdk_testkit.labelled_pictures import write_shades
from edgesdk_testkit.tiny_bundles import LABELS

CARD = f"""
name: residual
factory: nets_of_a_search:residual
factory_args: {{width: 4, classes: {len(LABELS)}}}
task: classify
input: {{name: image, shape: [1, 3, 16, 16]}}
preprocess: {{preset: zero-one, resize: stretch}}
labels: [{", ".join(LABELS)}]
"""
PLAN = {"epochs": 1, "batch": 8, "device": "cpu", "threads": 1, "workers": 1}
SPACE: dict[str, Any] = {
    "model": "card.yaml",
    "target": "generic-onnx",
    "data": "judged",
    "train_data": "shades",
    "objectives": ["top1", "bytes"],
    "train": PLAN,
    "compress": {
        "passes": [{"pass": "prune", "macs": 0.5, "multiple": 1}, {"pass": "fold"}],
        "sensitivity": False,
        # Read by more threads, and into a smaller cache: still the same pictures.
        "recovery": {**PLAN, "workers": 2, "cache_mb": 64},
    },
    "parameters": {"compress.prune.macs": {"choice": [0.4, 0.9]}},
    "sampler": "grid",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search-compression")
    (folder / "nets_of_a_search.py").write_text("from edgesdk_testkit.nets_to_compress import residual\n")
    (folder / "card.yaml").write_text(CARD)
    write_shades(folder / "shades", seed=2, count=6)
    write_shades(folder / "judged", seed=3, count=2)
    return folder


def _space(folder: Path, **changes: Any) -> Path:
    path = folder / "space.yaml"
    path.write_text(json.dumps({**SPACE, **changes}))
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is decoded and hashed while the test runs."""
    opened: list[str] = []

    class Counted(PictureSet):
        def __init__(self, dataset: Dataset, *given: Any, **named: Any) -> None:
            opened.append(f"{len(dataset)} decoded")
            super().__init__(dataset, *given, **named)

    class Hashed(Content):
        def __init__(self, places: Mapping[str, Files], work: Work) -> None:
            opened.extend(f"{name} hashed" for name in places)
            super().__init__(places, work)

    monkeypatch.setattr(examples, "PictureSet", Counted)
    monkeypatch.setattr(data, "Content", Hashed)
    return opened


def test_others_are_opened_where_a_trial_asks_for_others(folder: Path, tmp_path: Path) -> None:
    pictures, plan = Pictures(folder, tmp_path), Plan(workers=1)
    card, other = (read_card(folder / "card.yaml", {"input": {"shape": [1, 3, side, side]}}) for side in (16, 8))
    first = pictures.to_learn_from(card, "shades", 0, [plan])
    divided = pictures.to_learn_from(card, "shades", 1, [plan])
    assert divided is not first
    assert pictures.to_learn_from(card, "shades", 0, [plan]) is first
    assert pictures.to_learn_from(other, "shades", 0, [plan]).tensor.shape == (1, 3, 8, 8)
    # Two are kept, those that were asked for last.
    assert pictures.to_learn_from(card, "shades", 0, [plan]) is first
    assert pictures.to_learn_from(card, "shades", 1, [plan]) is not divided


def test_passes_are_searched_and_gone_on_with(folder: Path, tmp_path: Path, opened: list[str]) -> None:
    def stop(line: str) -> None:
        if line == "02-fold: begins":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(_space(folder), tmp_path, time_s=0.02, say=stop)
    opened.clear()
    lines: list[str] = []
    found = search(_space(folder), tmp_path, time_s=0.02, say=lines.append)
    assert [trial.ending for trial in found.trials] == ["finished", "finished"], [trial.why for trial in found.trials]
    sizes = {trial.parameters["compress.prune.macs"]: trial.figures["bytes"] for trial in found.trials}
    assert sizes[0.4] < sizes[0.9]
    # The trial that was cut off goes on after its first pass, and both have one training.
    assert lines.count("01-prune: was finished") == 1
    assert sum(line.startswith("was finished:") for line in lines) == 2
    # Both trainings and both courses of passes, and what is checked before them, have the same pictures: opened once.
    assert sorted(opened) == ["25 decoded", "5 decoded", "data.evaluate hashed", "data.train hashed"]
    assert not (tmp_path / "work").exists()
    smallest = min(found.trials, key=lambda trial: trial.figures["bytes"])
    place = tmp_path / "trials" / str(smallest.number)
    with open_bundle(place / "model.edgebundle") as bundle:
        assert bundle.manifest.name == "residual"
    module = resolve_source(place / "residual.yaml").load()
    assert module.get_parameter("head.weight").shape[1] < 8  # type: ignore[union-attr]  # a module, as it has a factory


def test_a_teacher_that_changes_while_a_search_runs_ends_it(folder: Path, tmp_path: Path) -> None:
    (folder / "names.txt").write_text("\n".join(LABELS))
    teacher = folder / "teacher.yaml"
    teacher.write_text(CARD.replace("name: residual", "name: teacher").replace(f"[{', '.join(LABELS)}]", "names.txt"))
    passes = [{"pass": "distil", "teacher": "teacher.yaml", "training": PLAN}]
    space = _space(
        folder,
        train=None,
        compress={**SPACE["compress"], "passes": passes},
        parameters={"compress.distil.temperature": {"choice": [1.0, 2.0]}},
    )

    def change(line: str) -> None:
        if line == "01-distil: begins":
            (folder / "names.txt").write_text("\n".join([*LABELS[1:], LABELS[0]]))

    with pytest.raises(InputError, match=r"What `teacher` names changed since the search began: .*names\.txt changed"):
        search(space, tmp_path, time_s=0.02, say=change)


def test_what_no_trial_could_do_is_told_before_the_first(folder: Path, tmp_path: Path) -> None:
    passes = [{"pass": "prune", "macs": 0.5, "skip": ["haed"]}]
    wrong = _space(folder, compress={**SPACE["compress"], "passes": passes})
    with pytest.raises(InputError, match="haed"):
        search(wrong, tmp_path / "out")
    with pytest.raises(InputError, match=r"compress\.prune\.macs cannot be 2\.5"):
        search(_space(folder, parameters={"compress.prune.macs": {"choice": [0.5, 2.5]}}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
