"""The definitions in `models/` are the authors' models: weights fit strictly, the noted results come out.

Everything here is PyTorch or ONNX Runtime with plain OpenCV; nothing is converted by the product. A figure
that is missed here is a fault of the definition or of the card, not of a conversion.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_models
import yaml
from real_models import CASES, ONNX_CASES, Case, OnnxCase
from real_reference import Run, fastestdet_grid, network_input, reference, ultraface_rows
from real_scores import Truth, ap50, coco_truth, measure, picture

from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

HEADS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "fastestdet": fastestdet_grid,
    "ssd": ultraface_rows,
}

pytestmark = pytest.mark.real
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
by_export = pytest.mark.parametrize("export", ONNX_CASES, ids=lambda export: export.case)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def runs(network: Any) -> Run:
    """Return a module as a function of arrays."""

    def run(x: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            outputs = network(torch.from_numpy(x))
        return tuple(y.numpy() for y in (outputs if isinstance(outputs, tuple) else (outputs,)))

    return run


def onnx_runs(export: OnnxCase, assets: Path) -> Run:
    """Return the authors' export, with its head decoded, as a function of arrays."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # These files list their weights among the inputs, and each weight would be warned about.
    options.log_severity_level = 3
    file = str(assets / export.file)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: HEADS[export.head](*session.run(None, {name: x}))


def close(found: dict[str, float], expected: Any) -> bool:
    """Compare figures: AP50 within 0.1 points, counts exactly."""
    return set(found) == set(expected) and all(
        abs(found[key] - value) <= (0.1 if key == "ap50" else 0) for key, value in expected.items()
    )


@by_case
def test_the_weights_fit_strictly_and_the_outputs_have_their_shape(case: Case, assets: Path) -> None:
    network = real_models.load(case, assets)
    assert sum(p.numel() for p in network.parameters()) == case.parameters
    shape = yaml.safe_load(real_models.card_text(case.name, assets))["input"]["shape"]
    outputs = runs(network)(np.zeros(shape, np.float32))
    assert tuple(y.shape for y in outputs) == case.outputs
    assert all(np.isfinite(y).all() for y in outputs)


def test_a_missing_tensor_is_not_filled_in_silently(assets: Path, tmp_path: Path) -> None:
    case = real_models.case_named("resnet20")
    weights = torch.load(assets / case.weights, weights_only=True, map_location="cpu")
    del weights["state_dict"]["module.layer3.2.bn2.bias"]
    (tmp_path / case.weights).parent.mkdir()
    torch.save(weights, tmp_path / case.weights)
    with pytest.raises(RuntimeError, match=r"layer3\.2\.bn2\.bias"):
        real_models.load(case, tmp_path)


@by_case
def test_the_noted_figures_come_out(case: Case, assets: Path) -> None:
    found = measure(case.name, assets, reference(case.name, assets, runs(real_models.load(case, assets))))
    assert close(found, case.expected), (found, case.expected)


@by_export
def test_the_authors_own_export_has_the_same_figures(export: OnnxCase, assets: Path) -> None:
    found = measure(export.case, assets, reference(export.case, assets, onnx_runs(export, assets)))
    expected = real_models.case_named(export.case).expected
    assert close(found, expected), (found, expected)


@by_export
def test_definition_and_the_authors_own_export_agree(export: OnnxCase, assets: Path) -> None:
    case = real_models.case_named(export.case)
    spec = yaml.safe_load(real_models.card_text(case.name, assets))["preprocess"]
    x = network_input(picture(coco_truth(assets)[1][0]), spec)
    boxes, scores = runs(real_models.load(case, assets))(x)
    their_boxes, their_scores = onnx_runs(export, assets)(x)
    np.testing.assert_allclose(boxes, their_boxes, atol=0.02, rtol=0)
    np.testing.assert_allclose(scores, their_scores, atol=1e-4, rtol=0)


def test_the_person_model_equals_the_authors_tflite(assets: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    interpreter = litert.Interpreter(str(assets / "classification/vww_96_float.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    given, answered = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    case = real_models.case_named("vww_mobilenet_v1")
    run = runs(real_models.load(case, assets))
    spec = yaml.safe_load(real_models.card_text(case.name, assets))["preprocess"]
    for path, _ in coco_truth(assets)[:5]:
        x = network_input(picture(path), spec)
        interpreter.set_tensor(given["index"], x.transpose(0, 2, 3, 1))
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(answered["index"]), run(x)[0], atol=2e-6, rtol=0)


def test_the_figures_notice_swapped_colours(assets: Path) -> None:
    run = runs(real_models.load(real_models.case_named("fastestdet"), assets))
    swapped = reference("fastestdet", assets, lambda x: run(x[:, ::-1].copy()))
    assert measure("fastestdet", assets, swapped)["ap50"] < 40.0


def test_ap50_of_the_truth_is_all_and_of_other_classes_nothing(assets: Path) -> None:
    truths = [truth for _, truth in coco_truth(assets)]
    assert sum(len(truth.boxes) for truth in truths) == 173
    assert len({int(c) for truth in truths for c in truth.class_ids}) == 45
    assert ap50([_told(truth, 0) for truth in truths], truths) == pytest.approx(100)
    assert ap50([_told(truth, 100) for truth in truths], truths) == 0


def test_a_second_box_on_the_same_object_is_wrong() -> None:
    truth = Truth(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), np.array([7, 7]))
    twice = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], np.float32)
    found = Detections(twice, np.array([0.9, 0.8, 0.7], np.float32), np.array([7, 7, 7]))
    # Recall 0.5 at precision 1 (51 of the 101 points), recall 1 at precision 2/3.
    assert ap50([found], [truth]) == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)


@by_case
def test_a_card_stands_beside_its_factory(case: Case, assets: Path, tmp_path: Path) -> None:
    card = real_models.card_for(case.name, assets, tmp_path / "cards")
    data = yaml.safe_load(card.read_text("utf-8"))
    assert data["factory"] == case.factory
    assert data["task"] == case.task
    assert Path(data["source"]).samefile(assets / case.weights)
    assert (card.parent / f"{case.factory.partition(':')[0]}.py").is_file()
    labels = data["labels"]
    count = len(labels) if isinstance(labels, list) else len(Path(labels).read_text("utf-8").splitlines())
    classes = case.outputs[-1][-1]
    assert count == (classes - 1 if case.task == "text" else classes)


@by_export
def test_an_export_has_a_card_without_a_factory(export: OnnxCase, assets: Path, tmp_path: Path) -> None:
    data = yaml.safe_load(real_models.export_card_for(export, assets, tmp_path).read_text("utf-8"))
    assert "factory" not in data
    assert data["postprocess"]["head"] == export.head
    assert Path(data["source"]).samefile(assets / export.file)


def _told(truth: Truth, shift: int) -> Detections:
    sure = np.ones(len(truth.boxes), np.float32)
    return Detections(truth.boxes.astype(np.float32), sure, truth.class_ids + shift)
