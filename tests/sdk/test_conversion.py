"""Convert and prove: what is asked for and cannot be had is refused, and what is not proven is not called so."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from edgesdk.conversion import convert
from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Classification

CARD: dict[str, Any] = {
    "name": "thing",
    "task": "classify",
    "input": {"name": "image", "shape": [1, 3, 24, 24]},
    "preprocess": {"preset": "minus-one-one", "resize": "stretch"},
    "labels": ["a", "b"],
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    convs = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise((3, 8, 8))]
    body = [part for conv in convs for part in (conv, torch.nn.ReLU())]
    module = torch.nn.Sequential(*body, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2)).eval()
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    example = (torch.zeros(1, 3, 24, 24),)
    path.write_bytes(onnx_from_torch(module, example, input_names=["image"], output_names=["logits"]))
    return path


@pytest.fixture(scope="module")
def labelled(net: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures labelled as the net sees them: its weights are drawn, so nobody else knows."""
    folder = tmp_path_factory.mktemp("labelled")
    made = convert(net, "generic-onnx", card=CARD, output=tmp_path_factory.mktemp("made"))
    lines = ["file,label"]
    with load_model(made.path) as model:
        for number in range(12):
            picture = draw_picture((48, 48), 100 + number)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
            result = model(picture)
            assert isinstance(result, Classification)
            lines.append(f"{number}.png,{result.label}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"max_drop": 0.01}, "--max-drop"),
        ({"report": "r.html"}, "--report"),
        ({"keep_float": ["*"]}, "--keep-float"),
        ({"max_drop": 5.0, "data": "x"}, "between 0 and 1"),
    ],
)
def test_what_would_be_ignored_is_refused(net: Path, tmp_path: Path, asked: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        convert(net, "generic-onnx", card=CARD, output=tmp_path, **asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["folder", "table"])
def test_labels_are_read_from_a_folder_or_a_table(net: Path, labelled: Path, tmp_path: Path, form: str) -> None:
    data = labelled if form == "folder" else labelled / "labels.csv"
    made = convert(net, "generic-onnx", card=CARD, output=tmp_path, data=data, report=tmp_path / "r.html", max_drop=0.4)
    assert made.variants[0].accuracy["task"] == "classify"
    assert (tmp_path / "r.html").is_file()
    with open_bundle(made.path) as bundle:
        assert json.loads(bundle.read("reports/parity.json"))["pictures"] == "given"
        assert made.variants[0].id in json.loads(bundle.read("reports/accuracy.json"))


def test_the_calibration_pictures_prove_nothing(net: Path, tmp_path: Path) -> None:
    pictures = [draw_picture((48, 48), seed) for seed in range(33)]
    made = convert(
        net,
        "generic-onnx",
        card=CARD,
        output=tmp_path,
        precision="int8",
        calib_data=pictures,
        explain=True,
        report=tmp_path / "r.html",
    )
    assert made.variants[0].accuracy["outcome"] != "pass"
    assert made.unproven == made.variants
    assert any("flatters" in warning for warning in made.warnings)
    assert "node" in (tmp_path / "r-layers.html").read_text()


def test_ranges_are_measured_anew_when_the_preprocessing_changes(net: Path, tmp_path: Path) -> None:
    pictures = [draw_picture((48, 48), seed) for seed in range(33)]
    said: list[str] = []
    for std in (127.5, 30.0):
        said.clear()
        card = {**CARD, "preprocess": {**CARD["preprocess"], "std": [std] * 3}}
        convert(
            net,
            "generic-onnx",
            card=card,
            output=tmp_path / "out",
            precision="int8",
            calib_data=pictures,
            cache=tmp_path / "cache",
            progress=said.append,
        )
        if std == 30.0:
            assert "int8_onnx: done" in said
    # The control: with nothing changed the step does come from the cache.
    convert(
        net,
        "generic-onnx",
        card=card,
        output=tmp_path / "out",
        precision="int8",
        calib_data=pictures,
        cache=tmp_path / "cache",
        progress=said.append,
    )
    assert "int8_onnx: from the cache" in said
