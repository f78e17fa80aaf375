"""A real search: each trial converted, timed and evaluated; the command, its report, and a limit that cannot be met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from edgesdk.cli.search import search
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.preprocess.png import encode_png
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import LABELS
from edgesdk_testkit.tiny_models import CNN, MEAN, STD

CARD = f"""
name: tiny
source: tiny.onnx
task: classify
input: {{name: image, shape: [1, 3, 16, 16]}}
preprocess: {{color: bgr, size: [16, 16], mean: [{MEAN}, {MEAN}, {MEAN}], std: [{STD}, {STD}, {STD}]}}
labels: [{", ".join(LABELS)}]
"""
SPACE = """
model: card.yaml
target: generic-onnx
data: data
objectives: [top1, ms]
parameters:
  deploy.streams: {choice: [1, 2]}
  deploy.threads: {choice: [1, 2]}
sampler: grid
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.onnx").write_bytes(CNN.file(Runtime.ONNXRUNTIME).files["model"])
    (folder / "card.yaml").write_text(CARD)
    (folder / "space.yaml").write_text(SPACE)
    write_labelled(folder / "data", 20)
    return folder


def _run(capsys: pytest.CaptureFixture[str], *paths: Path, **options: Any) -> dict[str, Any]:
    search(*paths, time_s=0.02, json=True, **options)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_search_finds_tells_and_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _run(capsys, folder / "space.yaml", tmp_path, trials=1)
    assert len(found["trials"]) == 1
    found = _run(capsys, folder / "space.yaml", tmp_path)
    assert len(found["trials"]) == 4
    assert all(trial["figures"]["top1"] == 1.0 and trial["figures"]["ms"] > 0 for trial in found["trials"])
    times = {trial["number"]: trial["figures"]["ms"] for trial in found["trials"]}
    # All answer alike: the fastest is all that is not beaten.
    assert found["front"] == [found["chosen"]] == [min(times, key=lambda number: times[number])]
    with open_bundle(found["bundle"]) as bundle:
        assert bundle.manifest.name == "tiny"
    kept = {int(place.name) for place in (tmp_path / "trials").iterdir()}
    assert kept == set(found["front"])
    page = Path(found["report"]).read_text("utf-8")
    assert all(heading in page for heading in ("What was chosen", "How it went", "The front", "All trials"))
    assert "<svg" in page
    assert "http" not in page.split("<svg")[0]


def test_a_limit_that_cannot_be_met_says_how_near_it_came(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tight.yaml").write_text(SPACE + "limits: {bytes: 100}\n")
    with pytest.raises(typer.Exit) as ended:
        _run(capsys, folder / "tight.yaml", tmp_path)
    assert ended.value.exit_code == 3
    found = json.loads(capsys.readouterr().out)
    assert found["chosen"] is None
    assert found["bundle"] is None
    assert "No trial keeps all limits" in found["why"]
    assert "In the way stood bytes in 4 of 4" in found["why"]
    # What misses a limit on cost is not evaluated.
    assert all("top1" not in trial["figures"] for trial in found["trials"])


NET = """
from torch import nn

def net(width=4):
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, width), nn.ReLU(), nn.Linear(width, 5))
"""


def test_networks_and_training_plans_are_searched(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny_search_net.py").write_text(NET)
    (folder / "net.yaml").write_text(CARD.replace("source: tiny.onnx", "factory: tiny_search_net:net"))
    space = {
        "model": "net.yaml",
        "target": "generic-onnx",
        "data": "shades",
        "train_data": "shades",
        "objectives": ["top1"],
        "train": {"batch": 8, "device": "cpu", "epochs": 2},
        "parameters": {"factory_args.width": {"choice": [2, 24]}, "train.learning_rate": {"choice": [0.02]}},
        "sampler": "grid",
    }
    random = np.random.default_rng(2)
    for number, label in enumerate(LABELS):
        (folder / "shades" / label).mkdir(parents=True)
        for place in range(8):
            shade = np.clip(random.normal(25 + 50 * number, 6, (16, 16, 3)), 0, 255).astype(np.uint8)
            (folder / "shades" / label / f"{place}.png").write_bytes(encode_png(shade))
    (folder / "train.yaml").write_text(json.dumps(space))
    found = _run(capsys, folder / "train.yaml", tmp_path)
    assert [trial["ending"] for trial in found["trials"]] == ["finished", "finished"], found
    sizes = {trial["parameters"]["factory_args.width"]: trial["figures"]["bytes"] for trial in found["trials"]}
    assert sizes[2] < sizes[24]
