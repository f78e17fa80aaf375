"""What a table of pruning without retraining is made by: a model pruned alone, and pictures labelled by what a model answers."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from edgesdk_converters.source import resolve_source
from edgesdk_testkit.nets_to_compress import residual

CARD = """\
name: noise
source: net.safetensors
factory: edgesdk_testkit.nets_to_compress:residual
task: classify
input: {name: image, shape: [1, 3, 16, 16]}
preprocess: {preset: zero-one, resize: stretch}
labels: names.txt
"""


@pytest.fixture(scope="module", autouse=True)
def compression_path(root: Path, benchmarks_path: None) -> Iterator[None]:
    folder = str(root / "benchmarks" / "compression")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    save_file(residual().state_dict(), folder / "net.safetensors")
    (folder / "names.txt").write_text("a\nb\nc\nd\n")
    (folder / "net.yaml").write_text(CARD)
    return folder / "net.yaml"


def _labelled(card: Path, folder: Path, seed: int) -> Path:
    """Label pictures of noise, two of each unit, by what the model answers."""
    picture = importlib.import_module("table.asset_pictures").Picture
    drawn = np.random.default_rng(seed)
    pictures = [picture(drawn.integers(0, 256, (16, 16, 3), dtype=np.uint8), f"unit {n // 2}") for n in range(8)]
    labelled: Path = importlib.import_module("float_labels").labelled_by(card, pictures, folder)
    return labelled


def test_pictures_have_the_models_own_answers_and_their_units_as_labels(card: Path, tmp_path: Path) -> None:
    folder = _labelled(card, tmp_path / "made", 1)
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == [f"unit {n // 2}" for n in range(8)]
    assert all((folder / row["file"]).is_file() and row["label"] in "0123" for row in rows)
    # Labelled once: no model is asked again, so one that is not there is no matter.
    (folder / "labels.csv").write_text("kept")
    assert _labelled(tmp_path / "no such card", folder, 1) == folder
    assert (folder / "labels.csv").read_text() == "kept"


def test_a_model_pruned_alone_keeps_to_its_budget_and_says_what_the_gate_finds(card: Path, tmp_path: Path) -> None:
    rows = importlib.import_module("rows")
    recipe = rows.Recipe(
        [{"pass": "prune", "macs": 0.8, "recover": False}], sensitivity={"ratios": [0.5], "pictures": 4}
    )
    data = {name: _labelled(card, tmp_path / name, seed) for seed, name in enumerate(("choose", "evaluate"))}
    made, told = importlib.import_module("prune_alone").pruned(card, recipe, data, tmp_path / "out")
    assert told["after"]["macs"] <= 0.8 * told["before"]["macs"]
    assert told["passes"][0]["kind"] == "prune"
    assert told["gate"]["outcome"]
    assert resolve_source(made).card.task == "classify"
