"""A drafted card loads, and a model run by it finds what was planted, at its place in the picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgesdk_converters.drafting.card_draft import draft_card
from edgesdk_targets.card import ModelCard
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.results import Classification, Detections, Result
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.yaml_file import parse_yaml, validate
from edgesdk_testkit import head_models
from edgesdk_testkit.head_models import HeadModel

PICTURE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def card_of(path: Path, head: str | None = None) -> ModelCard:
    return validate(ModelCard, parse_yaml(draft_card(path, head), source="draft"))


def run(path: Path, card: ModelCard) -> Result:
    """Answer for the picture by the card alone."""
    assert card.preprocess is not None
    assert not isinstance(card.labels, str)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    tensor = card.input.empty()
    geometry = Preprocessor(card.preprocess, card.input).into(PICTURE, tensor)
    names = [node.name for node in session.get_outputs()]
    arrays: Mapping[str, Array] = dict(zip(names, session.run(names, {card.input.name: tensor}), strict=True))
    specs = tuple(TensorSpec(name=n, shape=a.shape, dtype=str(a.dtype)) for n, a in arrays.items())
    return Decoder(card.task, card.postprocess, card.labels, specs, card.preprocess.size)(arrays, geometry)


def to_picture(box: tuple[float, float, float, float], resize: str) -> list[float]:
    """Map a box from the input, 96x64, to the picture, 640x480."""
    x1, y1, x2, y2 = box
    if resize == "stretch":
        return [x1 * 640 / 96, y1 * 480 / 64, x2 * 640 / 96, y2 * 480 / 64]
    assert resize == "letterbox"
    return [(x1 - 5) * 640 / 85, y1 * 7.5, (x2 - 5) * 640 / 85, y2 * 7.5]


@pytest.mark.parametrize("model", head_models.detectors(), ids=lambda model: model.name)
def test_detectors_find_what_was_planted(tmp_path: Path, model: HeadModel) -> None:
    path = model.write(tmp_path)
    card = card_of(path, model.told)
    assert (card.task, card.postprocess.head, card.labels) == ("detect", model.head, model.labels)
    assert card.preprocess is not None
    found = run(path, card)
    assert isinstance(found, Detections)
    expected = sorted(model.objects, key=lambda planted: -planted.score)
    assert found.class_ids.tolist() == [planted.class_id for planted in expected]
    np.testing.assert_allclose(found.scores, [planted.score for planted in expected], rtol=0.01)
    boxes = [to_picture(planted.box, card.preprocess.resize) for planted in expected]
    np.testing.assert_allclose(found.boxes, np.clip(boxes, 0, (640, 480, 640, 480)), atol=0.2)
    if model.labels:
        assert found.label(0) == "hot dog: 'mustard'"


def test_a_number_of_boxes_that_changes(tmp_path: Path) -> None:
    path = head_models.torchvision_detection(open_count=True).write(tmp_path)
    found = run(path, card_of(path))
    assert isinstance(found, Detections)
    assert len(found) == 2


def test_sizes_that_the_graph_leaves_open(tmp_path: Path) -> None:
    path = head_models.yolov8(open_sizes=True).write(tmp_path)
    text = draft_card(path)
    assert "open in the graph; the size is the exporter's" in text
    assert card_of(path).input.shape == (1, 3, head_models.HEIGHT, head_models.WIDTH)
    assert isinstance(run(path, card_of(path)), Detections)


def test_a_size_that_nobody_tells_is_a_marked_guess(tmp_path: Path) -> None:
    data = head_models.graph([("logits", np.zeros((1, 5), np.float32))], {}, ("x", ("batch", 3, "height", "width")))
    path = HeadModel("open", data, "classify", None).write(tmp_path)
    line = next(line for line in draft_card(path).splitlines() if line.startswith("input:"))
    assert "[guess]" in line
    assert card_of(path).input.shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("model", "best", "score"),
    [
        (head_models.timm_classifier(), 285, 0.9939),
        (head_models.ultralytics_classifier(), 1, 0.7),
        (head_models.hugging_face_classifier(), 1, 0.8438),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_classifiers(tmp_path: Path, model: HeadModel, best: int, score: float) -> None:
    path = model.write(tmp_path)
    card = card_of(path)
    assert (card.task, card.labels) == ("classify", model.labels)
    found = run(path, card)
    assert isinstance(found, Classification)
    assert int(found.class_ids[0]) == best
    assert found.score == pytest.approx(score, abs=1e-3)


def test_hugging_faces_normalisation_is_in_pixels(tmp_path: Path) -> None:
    card = card_of(head_models.detr().write(tmp_path))
    assert card.preprocess is not None
    assert card.preprocess.mean == (123.675, 116.28, 103.53)
    assert card.preprocess.unit_warning() is None


def test_every_line_says_where_it_comes_from(tmp_path: Path) -> None:
    text = draft_card(head_models.ssd().write(tmp_path))
    by_field = {line.split(":")[0]: line for line in text.splitlines() if not line.startswith((" ", "#"))}
    assert set(by_field) == {
        "name", "version", "source", "task", "input", "preprocess", "postprocess", "labels",
    }  # fmt: skip
    assert "[file]" in by_field["input"]
    assert "[guess]" in by_field["preprocess"]
    assert "[you]" in by_field["labels"]
    assert "  box_units: unit  " in text


def test_ambiguity_names_the_flag(tmp_path: Path) -> None:
    data = head_models.graph([("output0", np.zeros((1, 6, head_models.CELLS), np.float32))], {}, "images")
    path = HeadModel("unnamed", data, "detect", None).write(tmp_path)
    with pytest.raises(InputError, match="--head yolov8"):
        draft_card(path)
    assert card_of(path, "yolov8").postprocess.head == "yolov8"


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Names from a file cannot add fields to the card."""
    names = ["a: b", "- x", "'", '"', "#c", "{d}", "no", "\u2028e", "😀"]
    metadata = {"names": str(names), "stride": "32", "imgsz": "[64, 96]"}
    table = np.zeros((1, 4 + len(names), head_models.CELLS), np.float32)
    data = head_models.graph([("output0", table)], metadata, ("in: {x}\nfactory: 'os:system' #", (1, 3, 64, 96)))
    path = HeadModel("x", data, "detect", None).write(tmp_path / "a b'c\": d")
    card = card_of(path)
    assert card.factory is None
    assert card.input.name == "in: {x}\nfactory: 'os:system' #"
    assert card.labels == ()  # one of them is no printable text, so none is believed
    metadata["names"] = str([name for name in names if name.isprintable()])
    table = table[:, : 4 + len(names) - 1]
    path = HeadModel("y", head_models.graph([("output0", table)], metadata, "images"), "detect", None).write(tmp_path)
    assert card_of(path).labels == tuple(name for name in names if name.isprintable())


def test_the_source_is_relative_to_where_the_card_lies(tmp_path: Path) -> None:
    path = head_models.yolov8().write(tmp_path / "models")
    (tmp_path / "cards").mkdir()
    text = draft_card(path, folder=tmp_path / "cards")
    assert validate(ModelCard, parse_yaml(text)).source == "../models/yolov8.onnx"


def test_state_and_gray_pictures(tmp_path: Path) -> None:
    model = head_models.streaming_reader()
    path = model.write(tmp_path)
    with pytest.raises(InputError, match="--head text"):
        draft_card(path)
    card = card_of(path, model.told)
    assert card.task == "text"
    assert card.preprocess is not None
    assert (card.preprocess.color, card.preprocess.mean) == ("gray", (127.5,))
    assert [(s.input, s.output, s.shape) for s in card.state] == [("h", "h_out", (1, 6))]


def tiny(classes: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def test_an_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(tiny(1000).eval(), (torch.zeros(1, 3, 32, 48),)), str(path))
    card = card_of(path)
    assert (card.task, card.input.shape, card.factory) == ("classify", (1, 3, 32, 48), None)


def test_an_exported_programs_outputs_in_its_own_order(tmp_path: Path) -> None:
    class Detector(nn.Module):
        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            cells = image.flatten(2).transpose(1, 2)
            return torch.sigmoid(cells), torch.cat((cells, cells[..., :1]), 2)

    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Detector().eval(), (torch.zeros(1, 3, 4, 4),)), str(path))
    card = card_of(path)
    assert (card.task, card.postprocess.head, card.outputs) == ("detect", "boxes_scores", ("scores", "boxes"))


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_weights_ask_for_their_factory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"weights.{kind}"
    weights: dict[str, Any] = tiny().state_dict()
    if kind == "pth":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    else:
        save_file(weights, path)
    text = draft_card(path)
    assert "the last layer gives 5 numbers" in text
    assert "def build_model()" in text
    card = validate(ModelCard, parse_yaml(text))
    assert card.factory == "my_models:build_model"
    assert card.input.shape[1] == 3


def test_a_tensor_beyond_all_memory(tmp_path: Path) -> None:
    data = head_models.graph([("x", np.zeros((1, 5), np.float32))], {}, ("i", (1, 3, 1 << 20, 1 << 20)))
    with pytest.raises(InputError, match="elements"):
        draft_card(HeadModel("big", data, "classify", None).write(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\x08\x07garbage", b"no model"])
def test_files_that_are_no_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        draft_card(path)
    assert caught.value.hint
